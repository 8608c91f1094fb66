//! Tests of the runner with real processes. This program is both `bench-all` and its worker. Its measures copy memory
//! and can crash, hang or give wrong results. No GPU is needed.

#![expect(clippy::print_stderr, reason = "a worker prints its last message")]

mod faults;
mod kill;
mod program;
mod reports;
mod rounds;
mod selection;

mod list {
    //! The measures of the tests and their study, in `list/`.
    use ridgeline_measure::MeasureContext;
    ridgeline_experiment::measures! { MeasureContext: copying, ceilings }
    ridgeline_experiment::studies! { copied }
    pub(crate) use copied::{FOREVER, UNTIL_FIVE};
    pub(crate) use copying::PID_FILE;
}

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// A test, which panics on failure.
type Test = fn();

const TESTS: [(&str, &[(&str, Test)]); 5] = [
    ("kill", kill::TESTS),
    ("faults", faults::TESTS),
    ("reports", reports::TESTS),
    ("rounds", rounds::TESTS),
    ("selection", selection::TESTS),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = program::main(&arguments) {
        return code;
    }
    let trial = |group: &str, (name, test): &(&str, Test)| {
        let test = *test;
        Trial::test(format!("{group}::{name}"), move || {
            test();
            Ok(())
        })
    };
    let trials = TESTS.iter().flat_map(|(group, tests)| tests.iter().map(|t| trial(group, t))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
