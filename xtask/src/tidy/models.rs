//! A model is shared between sessions, so all state that changes belongs to the session.

use super::Fault;
use super::rust::{self, Keep};
use super::source::{File, Workspace};

const FOLDER: &str = "crates/model/src/";

/// Paths that begin with this may hold changing state: the session and its modules.
const SESSION: &str = "crates/model/src/session";

/// Types with interior mutability.
const INTERIOR_MUTABILITY: [&str; 7] =
    ["Cell", "RefCell", "OnceCell", "OnceLock", "LazyLock", "Mutex", "RwLock"];

/// Only the session uses interior mutability, and `Model` has no method that takes `&mut self`.
pub(super) fn no_interior_mutability(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    let shared = |file: &&File| file.path.starts_with(FOLDER) && !file.path.starts_with(SESSION);
    for file in workspace.with_extension("rs").filter(shared) {
        let code = rust::product_code(file, Keep::Code);
        let mut in_model = false;
        for (line, text) in (1..).zip(code.lines()) {
            in_model = (in_model || is_model_impl(text)) && text != "}";
            if in_model && text.contains("&mut self") {
                faults.push(Fault::at(&file.path, line, "`Model` does not change after loading"));
            }
            for word in rust::words(text)
                .filter(|word| INTERIOR_MUTABILITY.contains(word) || word.starts_with("Atomic"))
            {
                faults.push(Fault::at(
                    &file.path,
                    line,
                    format!("`{word}`: move changing state to the session"),
                ));
            }
        }
    }
    faults
}

/// Whether `line` opens an implementation of or for the type `Model`.
fn is_model_impl(line: &str) -> bool {
    line.starts_with("impl") && rust::words(line).last() == Some("Model") && line.ends_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_changes_is_found() {
        let text = "use std::sync::Mutex;\nimpl Model {\n    fn a(&self) {}\n    fn b(&mut self) {}\n}\n\
                    impl Session {\n    fn c(&mut self) {}\n}\nstatic N: AtomicU64 = AtomicU64::new(0);\n";
        let files = [("crates/model/src/lib.rs", text), ("crates/model/src/session.rs", text)];
        let faults = no_interior_mutability(&Workspace::of(&files));
        assert!(faults.iter().all(|fault| fault.path == "crates/model/src/lib.rs"));
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 4, 9, 9]);
    }
}
