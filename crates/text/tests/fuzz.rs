//! The fuzz target of `examples/fuzz_tokenizer` on its first inputs, so that every run of the tests covers it.

#[path = "../../weights/examples/fuzz_gguf/random_json.rs"]
mod random_json;
#[path = "../examples/fuzz_tokenizer/target.rs"]
mod target;

/// Inputs of a run of the tests.
const INPUTS: u64 = 1500;

#[test]
fn no_file_breaks_the_reader_of_tokenizer_json() {
    let documents = target::documents();
    let mut opened = 0;
    for seed in 0..INPUTS {
        let open = target::check(&documents, seed);
        opened += u64::from(open.unwrap_or_else(|problem| panic!("seed {seed}: {problem}")));
    }
    // Some damaged files must open and others not, or the damage tests nothing.
    assert!((INPUTS / 50..INPUTS / 2).contains(&opened), "{opened}");
}
