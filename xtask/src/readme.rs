//! `cargo xtask readme DIR`: cuts the first figure and the first sentences of a report into README.md.
//!
//! The block between the marks is what `ridgeline report DIR --excerpt docs/figures` prints. A test of the command compares
//! the two.

use anyhow::{Context, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

const BEGIN: &str = "<!-- excerpt -->\n";
const END: &str = "<!-- end of excerpt -->\n";

/// Where README.md has its figures.
const FIGURES: &str = "docs/figures";

/// Replaces the block of README.md by the excerpt of the report of the journal in `folder`.
pub(crate) fn command(root: &Path, folder: &OsString) -> anyhow::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // A folder given relative to the caller's is not one of the workspace root.
    let folder = fs::canonicalize(folder).with_context(|| format!("cannot find {}", folder.display()))?;
    let output = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "ridgeline-lab",
            "--bin",
            "ridgeline",
            "--",
            "report",
        ])
        .arg(folder)
        .args(["--excerpt", FIGURES])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "the report has no excerpt");
    let excerpt = String::from_utf8(output.stdout).context("the excerpt is not UTF-8")?;
    let path = root.join("README.md");
    let text = fs::read_to_string(&path).context("cannot read README.md")?;
    fs::write(&path, replaced(&text, &excerpt)?).context("cannot write README.md")?;
    println!("README.md and {FIGURES}");
    Ok(ExitCode::SUCCESS)
}

/// The text with another block between its marks.
fn replaced(text: &str, block: &str) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("README.md has no line `<!-- excerpt -->`")?;
    let (_, after) = rest.split_once(END).context("README.md has no line `<!-- end of excerpt -->`")?;
    Ok(format!("{before}{BEGIN}{block}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_the_block_between_the_marks_changes() {
        let text = "a\n<!-- excerpt -->\nold\n<!-- end of excerpt -->\nb\n";
        let new = replaced(text, "new\n").expect("both marks");
        assert_eq!(new, "a\n<!-- excerpt -->\nnew\n<!-- end of excerpt -->\nb\n");
        assert!(replaced("a\n", "new\n").is_err());
    }
}
