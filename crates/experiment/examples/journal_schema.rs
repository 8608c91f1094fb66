//! Prints the JSON Schema of a journal line: `cargo run -p ridgeline-experiment --example journal_schema`.

#![expect(clippy::print_stdout, reason = "the schema is the output")]

fn main() {
    print!("{}", ridgeline_experiment::record::json_schema());
}
