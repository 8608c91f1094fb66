//! The fuzz targets of `examples/fuzz_gguf` on the first few inputs of each, so that every run of the tests covers them.

#[path = "../examples/fuzz_gguf/random_input.rs"]
mod random_input;
#[path = "../examples/fuzz_gguf/random_json.rs"]
mod random_json;
#[path = "../examples/fuzz_gguf/targets.rs"]
mod targets;

use targets::{Files, Target};

/// Inputs per target. A conversion takes milliseconds.
const fn inputs(target: Target) -> u64 {
    if matches!(target, Target::Tokenizer) { 300 } else { 2000 }
}

#[test]
fn no_file_breaks_the_reader_or_the_writer() {
    for target in Target::ALL {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let files = Files::within(folder.path());
        let mut opened = 0;
        let inputs = inputs(target);
        for seed in 0..inputs {
            let open = targets::check(target, &files, seed);
            opened +=
                u64::from(open.unwrap_or_else(|problem| panic!("{}, seed {seed}: {problem}", target.name())));
        }
        // Some damaged files must open and others not, or the damage tests nothing.
        match target {
            Target::RoundTrip => assert_eq!(opened, inputs),
            Target::Damaged | Target::Config | Target::Tokenizer => {
                let some = inputs / 20..inputs - inputs / 20;
                assert!(some.contains(&opened), "{}: {opened}", target.name());
            }
        }
    }
}
