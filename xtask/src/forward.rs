//! Replaces the process by another program, whose exit code and signals the caller then sees.

use anyhow::Context;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Builds `ridgeline` in release mode if needed, then runs it with `arguments` in the caller's folder.
///
/// `cargo run` finds the target folder even where a variable or a configuration file has moved it.
/// On Unix it also replaces its own process, so a signal sent to `cargo xtask` reaches `ridgeline`.
pub(crate) fn to_ridgeline(root: &Path, arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["run", "--release", "--package", "ridgeline-lab", "--bin", "ridgeline", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(arguments)
        .env("RIDGELINE_ROOT", root);
    become_program(command)
}

/// Runs the CI script in the workspace root.
pub(crate) fn to_ci(root: &Path) -> anyhow::Result<ExitCode> {
    let mut command = Command::new("bash");
    command.arg(root.join(".ci").join("run")).current_dir(root);
    become_program(command)
}

/// Replaces this process by `command`. Returns only on failure.
#[cfg(unix)]
fn become_program(mut command: Command) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", command.get_program().display()))
}

/// Runs `command` and exits with its exit code, because only Unix can replace a process.
#[cfg(not(unix))]
fn become_program(mut command: Command) -> anyhow::Result<ExitCode> {
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    // A process that a signal ended has no exit code.
    std::process::exit(status.code().unwrap_or(1))
}
