//! Libraries do not print, end the process or read the clock.

use super::Fault;
use super::rust::{self, Keep};
use super::source::{File, Workspace};

/// The only crate that is a program.
const PROGRAM: &str = "lab";

/// Calls that no library makes, and the replacement.
const BANNED: [(&str, &str); 7] = [
    ("println!", "return the text; only the program prints"),
    ("print!", "return the text; only the program prints"),
    ("eprintln!", "return an error or send a `tracing` event; only the program prints"),
    ("eprint!", "return an error or send a `tracing` event; only the program prints"),
    ("process::exit", "return an error; only the program ends"),
    ("SystemTime", "take the time as an argument"),
    ("Instant::now", "take a measured time as an argument"),
];

/// The modules that may read the monotonic clock, because they time a device.
const CLOCKS: [&str; 2] = ["crates/gpu/src/clock", "crates/measure/src/timing"];

/// No library calls anything in the list, outside its tests.
pub(super) fn libraries(workspace: &Workspace) -> Vec<Fault> {
    let is_library = |file: &&File| file.crate_of_source().is_some_and(|folder| folder != PROGRAM);
    let mut faults = Vec::new();
    for file in workspace.with_extension("rs").filter(is_library) {
        let code = rust::product_code(file, Keep::Code);
        for (line, text) in (1..).zip(code.lines()) {
            let bad = BANNED.iter().filter(|(call, _)| calls(text, call) && !may_time(file, call));
            faults
                .extend(bad.map(|(call, remedy)| Fault::at(&file.path, line, format!("`{call}`: {remedy}"))));
        }
    }
    faults
}

fn may_time(file: &File, call: &str) -> bool {
    call == "Instant::now" && CLOCKS.iter().any(|clock| file.path.starts_with(clock))
}

/// Whether `text` holds `call` as a whole word: `eprint!` is not a `print!`.
fn calls(text: &str, call: &str) -> bool {
    text.match_indices(call).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_at_fault(path: &str, text: &str) -> Vec<usize> {
        libraries(&Workspace::of(&[(path, text)])).iter().map(|fault| fault.line).collect()
    }

    const IMPURE: &str = "// println!\nprintln!(\"a\");\neprint!(\"b\");\nstd::process::exit(1);\n\
                             let start = Instant::now();\nlet day = SystemTime::now();\n\
                             #[cfg(test)]\nmod tests {\n    println!();\n}\n";

    #[test]
    fn an_impure_library_is_found() {
        assert_eq!(lines_at_fault("crates/model/src/lib.rs", IMPURE), [2, 3, 4, 5, 6]);
    }

    #[test]
    fn the_program_may_print_and_the_clocks_may_be_read() {
        assert_eq!(lines_at_fault("crates/lab/src/main.rs", IMPURE), []);
        assert_eq!(lines_at_fault("crates/gpu/src/clocks.rs", IMPURE), [2, 3, 4, 6]);
        assert_eq!(lines_at_fault("crates/gpu/examples/one_kernel.rs", IMPURE), []);
    }
}
