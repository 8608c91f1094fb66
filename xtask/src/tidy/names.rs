//! Only `quant` names quantization types. Every other crate asks it about a `Format`.

use super::Fault;
use super::rust::{self, Keep};
use super::source::{File, Workspace};

/// The crate that holds every quantization type.
const OWNER: &str = "quant";

/// The folder of studies, whose claims name types.
const STUDIES: &str = "crates/lab/src/studies/";

/// No other crate names a block quantization type in code or in a string.
///
/// Plain floats (`F32`, `F16`, `BF16`) are machine types too and may be named. A study may name what it compares.
pub(super) fn formats(workspace: &Workspace) -> Vec<Fault> {
    let quotes = |file: &File| file.path.starts_with(STUDIES);
    let elsewhere =
        |file: &&File| file.crate_of_source().is_some_and(|folder| folder != OWNER) && !quotes(file);
    let mut faults = Vec::new();
    for file in workspace.with_extension("rs").filter(elsewhere) {
        let code = rust::product_code(file, Keep::CodeAndStrings);
        for (line, text) in (1..).zip(code.lines()) {
            for word in rust::words(text).filter(|word| is_format(word)) {
                let message = format!("`{word}`: quantization types are named in crates/{OWNER} alone");
                faults.push(Fault::at(&file.path, line, message));
            }
        }
    }
    faults
}

/// Whether `word` names a block quantization type, in upper or lower case.
///
/// Examples are `Q8_0`, `q4_k_m`, `Q6K`, `IQ4_XS`, `TQ1_0` and `MXFP4`.
fn is_format(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let starts_with_digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    if let Some(rest) = word.strip_prefix("iq").or_else(|| word.strip_prefix("tq")) {
        return starts_with_digit(rest);
    }
    if ["mxfp4", "nvfp4"].contains(&word.as_str()) {
        return true;
    }
    let Some(rest) = word.strip_prefix('q').filter(|rest| starts_with_digit(rest)) else { return false };
    let rest = &rest[1..];
    ["_0", "_1", "_k", "k"].iter().any(|kind| {
        let size = rest.strip_prefix(kind);
        size.is_some_and(|size| ["", "_s", "_m", "_l"].contains(&size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_from_other_words() {
        for name in ["Q8_0", "q4_1", "Q4_K", "Q6K", "q5_k_m", "IQ4_XS", "iq2_s", "TQ1_0", "MXFP4"] {
            assert!(is_format(name), "{name}");
        }
        for word in ["q", "q0", "q1", "q_0", "q_norm", "F16", "qkv", "k", "Q10", "iq", "seq_0", "q2_rows"] {
            assert!(!is_format(word), "{word}");
        }
    }

    #[test]
    fn a_name_outside_its_crate_is_found() {
        let text = "// Q8_0 in a comment\nlet a = Format::Q8_0;\nlet b = \"q4_k\";\nlet c = Format::F16;\n\
                    #[cfg(test)]\nmod tests {\n    const A: Format = Format::Q8_0;\n}\n";
        let files = [
            ("crates/weights/src/lib.rs", text),
            ("crates/quant/src/lib.rs", text),
            ("crates/lab/tests/a.rs", text),
            ("crates/lab/src/studies/ag/ag_2.rs", text),
        ];
        let faults = formats(&Workspace::of(&files));
        let found: Vec<_> = faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
        assert_eq!(found, [("crates/weights/src/lib.rs", 2), ("crates/weights/src/lib.rs", 3)]);
    }
}
