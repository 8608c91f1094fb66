//! The format of files whose modules are declared by list macros, which `cargo fmt` does not see.

use super::Fault;
use super::source::{File, Workspace};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Folders of such files, with the folders below them.
const HIDDEN: [&str; 3] = ["crates/lab/src/commands/", "crates/lab/src/measures/", "crates/lab/src/studies/"];

/// The folder of such files in tests.
const IN_TESTS: &str = "/list/";

/// The edition of the workspace.
const EDITION: &str = "2024";

/// Every file that a list macro declares is as rustfmt writes it.
pub(super) fn hidden(workspace: &Workspace) -> Vec<Fault> {
    let is_hidden = |file: &&File| {
        let in_tests = file.path.contains("/tests/") && file.path.contains(IN_TESTS);
        in_tests || HIDDEN.iter().any(|folder| file.path.starts_with(folder))
    };
    let root = crate::root();
    workspace.with_extension("rs").filter(is_hidden).filter_map(|file| fault(file, &root)).collect()
}

/// The first line that rustfmt would change.
fn fault(file: &File, root: &Path) -> Option<Fault> {
    let formatted = match rustfmt(&file.text, root) {
        Ok(formatted) => formatted,
        Err(error) => return Some(Fault::whole(&file.path, format!("rustfmt failed: {error}"))),
    };
    if formatted == file.text {
        return None;
    }
    let equal = file.text.lines().zip(formatted.lines()).take_while(|(a, b)| a == b).count();
    let remedy = format!("run `rustfmt --edition {EDITION} {}`, which `cargo fmt` does not see", file.path);
    Some(Fault::at(&file.path, equal + 1, remedy))
}

/// The text as rustfmt writes it. A text on standard input has no modules that it would follow.
fn rustfmt(text: &str, root: &Path) -> std::io::Result<String> {
    let mut command = Command::new("rustfmt");
    command.args(["--quiet", "--edition", EDITION, "--config-path"]).arg(root);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // It reads everything before it writes, so that neither waits for the other. The pipe closes here.
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    String::from_utf8(output.stdout).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_behind_a_list_that_is_not_formatted_is_found() {
        let (good, bad) = ("//! A.\n\nfn f() {}\n", "//! A.\n\nfn  f( ) {}\n");
        let files = [
            ("crates/lab/src/commands/a.rs", good),
            ("crates/lab/src/studies/gap/b.rs", bad),
            ("crates/lab/src/measures/c.rs", "fn ("),
            ("crates/lab/tests/runner/list/d.rs", bad),
            ("crates/lab/src/runner/e.rs", bad),
        ];
        let faults = hidden(&Workspace::of(&files));
        let found: Vec<_> = faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
        let expected = [
            ("crates/lab/src/studies/gap/b.rs", 3),
            ("crates/lab/src/measures/c.rs", 0),
            ("crates/lab/tests/runner/list/d.rs", 3),
        ];
        assert_eq!(found, expected);
        assert!(faults[0].message.contains("rustfmt --edition 2024 crates/lab/src/studies/gap/b.rs"));
    }

    #[test]
    fn the_edition_is_that_of_the_workspace() {
        let workspace = Workspace::load(&crate::root()).expect("the repository can be read");
        let manifest = workspace.get("Cargo.toml").expect("the workspace's manifest");
        assert!(manifest.text.contains(&format!("edition = \"{EDITION}\"")));
    }
}
