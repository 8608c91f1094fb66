//! The fuzz targets of `examples/fuzz_gguf` on the first few inputs of each, so that every run of the tests covers them.

#[path = "../examples/fuzz_gguf/random_input.rs"]
mod random_input;
#[path = "../examples/fuzz_gguf/targets.rs"]
mod targets;

use targets::{Files, Target};

/// Inputs per target.
const INPUTS: u64 = 2000;

#[test]
fn no_file_breaks_the_reader_or_the_writer() {
    for target in Target::ALL {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let files = Files::within(folder.path());
        let mut opened = 0;
        for seed in 0..INPUTS {
            let open = targets::check(target, &files, seed);
            opened +=
                u64::from(open.unwrap_or_else(|problem| panic!("{}, seed {seed}: {problem}", target.name())));
        }
        // Some damaged files must open and others not, or the damage tests nothing.
        match target {
            Target::RoundTrip => assert_eq!(opened, INPUTS),
            Target::Damaged => assert!((INPUTS / 20..INPUTS - INPUTS / 20).contains(&opened), "{opened}"),
        }
    }
}
