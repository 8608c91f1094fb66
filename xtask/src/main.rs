//! `cargo xtask <command>`: builds the `ridgeline` binary in release and becomes it.
//!
//! Two commands are kept here because they look at the repository and not at a device: `tidy` checks what the
//! compiler cannot, and `ci` runs everything a change has to pass. This program never links a GPU library, so that
//! it compiles in seconds.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to the person who typed it")]

mod forward;
mod tidy;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <command> [arguments...]

  tidy       check the repository's own rules (see ARCHITECTURE.md and CONTRIBUTING.md)
  ci         run everything a change has to pass (.ci/run)
  <command>  build `ridgeline` in release and run `ridgeline <command> [arguments...]`

`cargo xtask help` lists the commands of `ridgeline`, and `cargo xtask bench-all` runs the whole experiment matrix.";

/// What a wrong command line exits with, the same number as `ridgeline`'s own.
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
        Some("tidy" | "ci") => {
            eprintln!("tidy and ci take no arguments\n\n{USAGE}");
            Ok(ExitCode::from(USAGE_ERROR))
        }
        Some(_) => forward::to_ridgeline(&root(), &arguments),
    }
}

/// The workspace root: the folder that holds this crate's folder.
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
