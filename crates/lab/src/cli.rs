//! The command line: parsing, llama.cpp's spelling of flags, logging, and error messages.
//!
//! Each command is a file in `commands/` and a word in the list of `commands/mod.rs`. Data goes to stdout, all
//! else to stderr.

use crate::commands::Command;
use crate::globals::{FAILED, Globals, NO_DEVICE, USAGE, UsageError};
use crate::{hub, install};
use clap::Parser;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::LazyLock;

/// llama.cpp's flags of several letters after one dash, which clap would parse as several flags of one letter.
const SPELLINGS: &[(&str, &str)] = &[
    ("-md", "--model-draft"),
    ("-ctk", "--cache-type-k"),
    ("-ctv", "--cache-type-v"),
    ("-pg", "--pg"),
    ("-npp", "--n-prompt"),
    ("-ntg", "--n-gen"),
    ("-npl", "--n-parallel"),
    ("-ub", "--ubatch-size"),
    ("-fa", "--flash-attn"),
    ("-dev", "--device"),
    ("-ngl", "--n-gpu-layers"),
    ("-tb", "--threads-batch"),
    ("-mmp", "--mmap"),
    ("-sm", "--split-mode"),
    ("-mg", "--main-gpu"),
    ("-nkvo", "--no-kv-offload"),
    ("-embd", "--embeddings"),
    ("-ot", "--override-tensor"),
    ("-oe", "--output-err"),
    ("-cnv", "--chat"),
    ("-no-cnv", "--no-chat"),
    ("-sys", "--system"),
    ("-st", "--single-turn"),
    ("-hft", "--hf-token"),
];

/// What a new user and a script need beside the list of commands.
const AFTER_HELP: &str = "\
First steps: `ridgeline doctor` checks this machine, and `ridgeline bench -m MODEL` measures a model.
`ridgeline bench-all` measures a grid of models and settings, and writes a report.
For developers of ridgeline: `targets`, `shaders` and `synth`.

Exit codes: 0 success, 1 failure, 2 invalid command line, 3 no device,
4 a regression (compare --fail-on-regression) or a disagreement (probe --compare),
130 an interrupted bench-all or repeat.";

/// Measures how fast a language model runs on this machine's GPU, how fast it could run, and why.
#[derive(Debug, Parser)]
#[command(name = "ridgeline", version = version(), arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// The version, with the revision of release builds.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let build = crate::provenance::build();
        let dirty = if build.dirty == Some(true) { ", modified" } else { "" };
        let revision = build.git_rev.map(|revision| format!(" ({revision}{dirty})"));
        build.version + &revision.unwrap_or_default()
    });
    &VERSION
}

/// Runs the command in `argv`, whose first word is the program's name, and prints its error.
#[must_use]
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (argv, fetched) = match hub::expand(long_spellings(argv)) {
        Ok(expanded) => expanded,
        Err(error) => return failed(&error.into()),
    };
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => {
            // If stderr is closed, the exit code still reports the error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    log(cli.globals.verbose);
    match run(cli, &fetched) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Runs a command, after its models are fetched.
fn run(cli: Cli, fetched: &[String]) -> anyhow::Result<ExitCode> {
    install::require_one(&cli.globals)?;
    hub::fetch_all(fetched, &cli.globals)?;
    cli.command.run(&cli.globals)
}

/// Prints an error. If stderr is closed, the exit code still reports it.
fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {}", message(error));
    ExitCode::from(code(error))
}

/// The value of `--device` in `argv`. `None` where it is absent or `argv` does not parse.
#[must_use]
pub fn device(argv: impl IntoIterator<Item = OsString>) -> Option<String> {
    let (argv, _) = hub::expand(long_spellings(argv)).ok()?;
    Cli::try_parse_from(argv).ok()?.globals.device
}

/// `argv` with llama.cpp's spellings replaced by long flags; nothing after `--` is touched.
fn long_spellings(argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut literal = false;
    let spell = |arg: OsString| {
        literal |= arg == OsStr::new("--");
        let long = SPELLINGS.iter().find(|(short, _)| !literal && arg == OsStr::new(short));
        long.map_or(arg, |(_, long)| OsString::from(long))
    };
    argv.into_iter().map(spell).collect()
}

fn log(verbose: u8) {
    let level = ["warn", "debug", "trace"][usize::from(verbose.min(2))];
    let filter = tracing_subscriber::EnvFilter::new(format!("warn,ridgeline={level}"));
    let filter = tracing_subscriber::EnvFilter::try_from_env("RIDGELINE_LOG").unwrap_or(filter);
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).without_time().try_init();
}

/// The exit code of an error.
fn code(error: &anyhow::Error) -> u8 {
    use ridgeline_hub::Error as Hub;
    use ridgeline_measure::models::Error as Models;
    for cause in error.chain() {
        if cause.is::<ridgeline_gpu::Error>() || cause.is::<crate::install::NoDevice>() {
            return NO_DEVICE;
        }
        let bad_model_name = cause.downcast_ref::<Models>().is_some_and(Models::is_usage)
            || cause.downcast_ref::<Hub>().is_some_and(Hub::is_usage);
        if cause.is::<UsageError>() || bad_model_name || cause.is::<ridgeline_quant::UnknownFormat>() {
            return USAGE;
        }
    }
    FAILED
}

/// The chain of causes as one line, without causes that an outer message already contains.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether the reader of stdout closed it, as `head` does. That is not an error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use super::{Cli, SPELLINGS, UsageError, code, is_broken_pipe, long_spellings, message};
    use anyhow::Context;
    use clap::CommandFactory;
    use std::ffi::OsString;

    fn spelled(line: &str) -> String {
        let words = long_spellings(line.split(' ').map(OsString::from));
        words.into_iter().map(|w| w.into_string().expect("ASCII")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn llama_spellings_become_long_flags() {
        assert_eq!(
            spelled("r speculate -m t -md d -dev cpu"),
            "r speculate -m t --model-draft d --device cpu"
        );
        assert_eq!(spelled("r run -ctk f16 -ctv f16"), "r run --cache-type-k f16 --cache-type-v f16");
        assert_eq!(spelled("r run -p x -- -md"), "r run -p x -- -md", "after -- nothing is a flag");
        assert_eq!(spelled("r run -p a-md -mdx"), "r run -p a-md -mdx", "whole words only");
        for (short, long) in SPELLINGS {
            assert!(short.len() > 2 && long.starts_with("--"), "{short} {long}");
        }
    }

    #[test]
    fn the_declaration_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_are_one_line_with_their_code() {
        let error = anyhow::Error::new(UsageError("-n must be positive".to_owned())).context("run");
        assert_eq!((message(&error).as_str(), code(&error)), ("run: -n must be positive", 2));
        let error = anyhow::Error::new(ridgeline_gpu::Error::NoAdapter);
        assert_eq!(code(&error), 3);
        assert!(message(&error).contains("apt-get install"), "the remedy is part of the message");
        let error: anyhow::Error =
            Err::<(), _>(anyhow::anyhow!("inner")).context("outer: inner").unwrap_err();
        assert_eq!((message(&error).as_str(), code(&error)), ("outer: inner", 1));
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let error =
            anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&error) && !is_broken_pipe(&anyhow::anyhow!("other")));
    }
}
