//! Style rules that hold for every file.

use super::Fault;
use super::rust::{self, Keep};
use super::source::{File, Workspace};

/// Lines a source file may have.
const MOST_LINES: usize = 400;

/// Every Rust file begins with a module doc.
pub(super) fn module_doc(workspace: &Workspace) -> Vec<Fault> {
    let says = |file: &File| file.text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some();
    let fault = |file: &File| Fault::at(&file.path, 1, "the first line is not a module doc (`//! …`)");
    workspace.with_extension("rs").filter(|file| !says(file)).map(fault).collect()
}

/// Every shader file begins with a comment and ends with a newline.
pub(super) fn shader_head(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in workspace.with_extension("wgsl") {
        if !file.text.starts_with("// ") {
            faults.push(Fault::at(&file.path, 1, "the first line is not a comment (`// …`)"));
        }
        if !file.text.ends_with('\n') {
            faults.push(Fault::at(&file.path, file.text.lines().count(), "the last line has no newline"));
        }
    }
    faults
}

/// No source file is too long.
pub(super) fn length(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in workspace.files.iter().filter(|file| is_source(file)) {
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            faults.push(Fault::whole(&file.path, format!("{lines} lines, at most {MOST_LINES} are allowed")));
        }
    }
    faults
}

/// No line ends in white space.
pub(super) fn whitespace(workspace: &Workspace) -> Vec<Fault> {
    let bad = |line: &str| line.ends_with(char::is_whitespace);
    on_lines(workspace.files.iter(), bad, "white space at the end of the line")
}

/// No comment asks for two places to be kept equal by hand. A generator or a test does that.
pub(super) fn no_sync_comments(workspace: &Workspace) -> Vec<Fault> {
    // Joined at run time, so that this file does not contain the phrases.
    let banned = ["keep", "kept", "stay"].map(|verb| format!("{verb} in {}", "sync"));
    let bad = |line: &str| {
        let line = line.to_lowercase();
        banned.iter().any(|phrase| line.contains(phrase))
    };
    let sources = workspace.files.iter().filter(|file| is_source(file) || file.has_extension("toml"));
    on_lines(sources, bad, "generate one of the two places from the other, or test that they agree")
}

/// An exception to a lint is `expect` with a reason, because the compiler reports a stale one.
///
/// Modules that several test programs share are exempt: an item used in one may be unused in another.
pub(super) fn no_allow(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    let shared = |file: &&File| file.path.contains("/tests/support/");
    for file in workspace.with_extension("rs").filter(|file| !shared(file)) {
        let code = rust::code(file, Keep::Code);
        for (line, text) in (1..).zip(code.lines()) {
            let conditional = text.contains("cfg_attr") && text.contains("allow(");
            if text.contains("[allow(") || conditional {
                faults.push(Fault::at(&file.path, line, "write `expect(lint, reason = \"…\")`"));
            }
        }
    }
    faults
}

/// Whether a file holds nothing but tests.
pub(super) fn is_tests(file: &File) -> bool {
    file.base_name() == "tests" || file.path.contains("/tests/")
}

fn is_source(file: &File) -> bool {
    file.has_extension("rs") || file.has_extension("wgsl")
}

fn on_lines<'a>(
    files: impl Iterator<Item = &'a File>,
    bad: impl Fn(&str) -> bool,
    message: &str,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files {
        let bad_lines = file.lines().filter(|(_, text)| bad(text));
        faults.extend(bad_lines.map(|(line, _)| Fault::at(&file.path, line, message)));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths_and_lines(faults: &[Fault]) -> Vec<(&str, usize)> {
        faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect()
    }

    #[test]
    fn a_file_without_a_doc_is_found() {
        let files = [("a.rs", "//! What it is.\n"), ("b.rs", "use std::fs;\n"), ("c.rs", "")];
        assert_eq!(paths_and_lines(&module_doc(&Workspace::of(&files))), [("b.rs", 1), ("c.rs", 1)]);
    }

    #[test]
    fn a_shader_without_a_comment_or_a_newline_is_found() {
        let files =
            [("a.wgsl", "// y = x.\nfn f() {}\n"), ("b.wgsl", "fn f() {}\n"), ("c.wgsl", "// z.\nfn f() {}")];
        assert_eq!(paths_and_lines(&shader_head(&Workspace::of(&files))), [("b.wgsl", 1), ("c.wgsl", 2)]);
    }

    #[test]
    fn one_line_too_many_is_found() {
        let (fits, long) = ("//\n".repeat(MOST_LINES), "//\n".repeat(MOST_LINES + 1));
        let files = [("a.rs", fits.as_str()), ("b.wgsl", &long), ("c.md", &long)];
        assert_eq!(paths_and_lines(&length(&Workspace::of(&files))), [("b.wgsl", 0)]);
    }

    #[test]
    fn white_space_at_the_end_is_found() {
        let files = [("a.md", "one\ntwo \n"), ("b.toml", "\tone\n\t\n")];
        assert_eq!(paths_and_lines(&whitespace(&Workspace::of(&files))), [("a.md", 2), ("b.toml", 2)]);
    }

    #[test]
    fn a_sync_comment_is_found() {
        let comment = format!("// Keep in {} with Params.\n", "sync");
        let files = [("a.wgsl", comment.as_str()), ("b.md", &comment)];
        assert_eq!(paths_and_lines(&no_sync_comments(&Workspace::of(&files))), [("a.wgsl", 1)]);
    }

    #[test]
    fn an_allowance_is_found_in_code_only() {
        let text = "// #[allow(dead_code)]\n#[allow(dead_code)]\n#![cfg_attr(test, allow(unused))]\nlet a = \"[allow(\";\n";
        assert_eq!(paths_and_lines(&no_allow(&Workspace::of(&[("a.rs", text)]))), [("a.rs", 2), ("a.rs", 3)]);
        assert!(no_allow(&Workspace::of(&[("x/tests/support/mod.rs", text)])).is_empty());
    }
}
