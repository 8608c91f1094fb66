//! Hands the process over to another program, so that exit codes and signals are that program's own.

use anyhow::Context;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Builds `ridgeline` in release where it is stale, then runs it with `arguments` in the caller's folder.
///
/// `cargo run` rather than a build and a path: cargo knows the target folder, whatever variable or configuration
/// file moved it, and on Unix it too replaces itself, so that a signal sent to `cargo xtask` reaches `ridgeline`.
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

/// Runs the script that a change has to pass, in the workspace root.
pub(crate) fn to_ci(root: &Path) -> anyhow::Result<ExitCode> {
    let mut command = Command::new("bash");
    command.arg(root.join(".ci").join("run")).current_dir(root);
    become_program(command)
}

/// Replaces this process by `command`; returns only where that failed.
#[cfg(unix)]
fn become_program(mut command: Command) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", command.get_program().display()))
}

/// Runs `command` and ends as it ended: there is no way to replace a process here.
#[cfg(not(unix))]
fn become_program(mut command: Command) -> anyhow::Result<ExitCode> {
    let status =
        command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    // A process that was ended from outside has no code.
    std::process::exit(status.code().unwrap_or(1))
}
