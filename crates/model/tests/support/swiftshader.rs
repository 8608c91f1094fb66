//! Trials on SwiftShader, a second driver with subgroups of four lanes.

use libtest_mimic::Failed;
use std::process::Command;

/// Runs a trial of this program in a process of its own, in which SwiftShader is the only driver.
pub(crate) fn on_swiftshader(trial: &str) -> Result<(), Failed> {
    let settings = ridgeline_gpu::swiftshader().ok_or("not installed: Debian's chromium-common has it")?;
    let mut child = Command::new(std::env::current_exe()?);
    let output = child.args([trial, "--exact"]).envs(settings).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && printed.contains("1 passed") { Ok(()) } else { Err(printed.into()) }
}
