//! Reads damaged tokenizer.json and `tokenizer_config.json` files, and encodes texts with what can be read: a million inputs.
//!
//! `cargo run --release -p ridgeline-text --example fuzz_tokenizer -- [INPUTS [SEED]]`. Input `i` of a run is the seed plus
//! `i`; a failure names its seed.

#[path = "../../../weights/examples/fuzz_gguf/random_json.rs"]
mod random_json;
mod target;

use std::process::ExitCode;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "a program that reports")]
fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut number = |default: u64| words.next().map_or(Ok(default), |it| it.parse());
    let (inputs, first) = (number(1_000_000)?, number(0)?);
    let documents = target::documents();
    // Panics of the `tokenizers` crate are caught and become errors, so that they are not printed.
    std::panic::set_hook(Box::new(|_| ()));
    let (start, mut opened) = (Instant::now(), 0_u64);
    for seed in (0..inputs).map(|i| first.wrapping_add(i)) {
        match target::check(&documents, seed) {
            Ok(open) => opened += u64::from(open),
            Err(problem) => {
                println!("seed {seed}: {problem}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    println!("{inputs} inputs, {opened} opened, {:.1} s, clean", start.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}
