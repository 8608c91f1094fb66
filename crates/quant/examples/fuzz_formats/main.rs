//! Throws random bytes and values at every quantization type: one target per type, a million inputs each.
//!
//! `cargo run --release -p ridgeline-quant --example fuzz_formats -- [--inputs N] [--target NAME] [--seed S]`. Input `i` of a
//! run is the seed plus `i`; a failure names its seed, and `--inputs 1 --seed` with it repeats it.

mod targets;

use std::{process::ExitCode, time::Instant};

use ridgeline_quant::Format;

/// The arguments.
struct Options {
    inputs: u64,
    target: Option<Format>,
    seed: u64,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut it = Self { inputs: 1_000_000, target: None, seed: 0 };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
            let number = || value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"));
            match word.as_str() {
                "--inputs" => it.inputs = number()?,
                "--seed" => it.seed = number()?,
                "--target" => it.target = Some(value.parse().map_err(|error| format!("{error}"))?),
                _ => return Err(format!("`{word}` is none of --inputs, --target, --seed")),
            }
        }
        Ok(it)
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]
fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(it) => it,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let mut clean = true;
    for &format in Format::ALL.iter().filter(|it| options.target.is_none_or(|wanted| wanted == **it)) {
        let start = Instant::now();
        let seeds = (0..options.inputs).map(|i| options.seed.wrapping_add(i));
        let failed =
            seeds.into_iter().find_map(|seed| targets::check(format, seed).err().map(|it| (seed, it)));
        let seconds = start.elapsed().as_secs_f64();
        match failed {
            None => println!("{format:10} {} inputs, {seconds:.1} s, clean", options.inputs),
            Some((seed, problem)) => {
                clean = false;
                println!("{format:10} failed after {seconds:.1} s: seed {seed}: {problem}");
            }
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
