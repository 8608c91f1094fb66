//! The commands. Each has a word in the list below and a file with `Args`, whose first doc line is the help text, and
//! `fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode>`.

mod accepted;
mod bench_case;
mod bench_profile;
mod bench_rows;
mod chat;
mod flags;
mod images;
mod outputs;
mod printer;
mod prompt;
mod token_counts;
mod variations;

use crate::globals::Globals;
use std::process::ExitCode;

/// Declares the modules, the subcommands (`bench_all` is `ridgeline bench-all`) and their dispatch.
macro_rules! commands {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// The command of the command line.
        #[derive(Debug, clap::Subcommand)]
        #[expect(non_camel_case_types, reason = "a command is one word: module, variant and subcommand")]
        pub(crate) enum Command {
            $($name(Box<$name::Args>),)*
        }

        impl Command {
            /// Runs it.
            pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
                match self {
                    $(Self::$name(args) => $name::run(*args, globals),)*
                }
            }
        }
    };
}

commands! {
    diagnose,
    probe,
    bench,
    run,
    speculate,
    logits,
    perplexity,
    inspect,
    tokenize,
    synth,
    quantize,
    shaders,
    doctor,
    fetch,
    tune,
    targets,
    bench_all,
    repeat,
    run_cells,
    report,
    compare,
    merge,
}
