//! `cargo xtask <command>`: builds the `ridgeline` binary in release mode and runs it.
//!
//! Three commands are implemented here. `tidy` checks the rules that the compiler and clippy do not.
//! `ci` runs every check that a change has to pass. `readme` cuts the excerpt of a report into README.md.
//! This program links no GPU library, so it compiles in seconds.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints for its user")]

mod forward;
mod readme;
mod tidy;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <command> [arguments...]

  tidy       check the repository's own rules (see ARCHITECTURE.md and CONTRIBUTING.md)
  ci         run every check that a change has to pass (.ci/run)
  readme DIR cut the first figure and sentences of the report of the journal in DIR into README.md
  <command>  build `ridgeline` in release mode and run `ridgeline <command> [arguments...]`

`cargo xtask help` lists the commands of `ridgeline`, and `cargo xtask bench-all` runs the whole experiment matrix.";

/// Exit code of a wrong command line, the same as `ridgeline`'s.
const USAGE_ERROR: u8 = 2;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        None => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(USAGE_ERROR))
        }
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some("tidy") if arguments.len() == 1 => tidy::command(&root()),
        Some("ci") if arguments.len() == 1 => forward::to_ci(&root()),
        Some("readme") if arguments.len() == 2 => readme::command(&root(), &arguments[1]),
        Some("tidy" | "ci" | "readme") => {
            eprintln!(
                "`tidy` and `ci` take no arguments, and `readme` takes the folder of a journal\n\n{USAGE}"
            );
            Ok(ExitCode::from(USAGE_ERROR))
        }
        Some(_) => forward::to_ridgeline(&root(), &arguments),
    }
}

/// The workspace root: the parent of this crate's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").components().fold(PathBuf::new(), |mut path, part| {
        if part == std::path::Component::ParentDir {
            path.pop();
        } else {
            path.push(part);
        }
        path
    })
}
