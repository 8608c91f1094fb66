//! Writes, reads and damages random small GGUF files, and damages config.json and tokenizer.json: a million inputs per target, in
//! memory where there is /dev/shm.
//!
//! `cargo run --release -p ridgeline-weights --example fuzz_gguf -- [--inputs N] [--target NAME] [--seed S]`. Input `i` of
//! a run is the seed plus `i`; a failure names its seed, and `--inputs 1 --seed` with it repeats it.

mod random_input;
mod random_json;
mod targets;

use std::{path::Path, process::ExitCode, time::Instant};

use targets::{Files, Target};

/// The arguments: targets, inputs per target, first seed.
fn options(mut words: impl Iterator<Item = String>) -> Result<(Vec<Target>, u64, u64), String> {
    let (mut wanted, mut inputs, mut seed) = (Target::ALL.to_vec(), 1_000_000, 0);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"));
        match word.as_str() {
            "--inputs" => inputs = number()?,
            "--seed" => seed = number()?,
            "--target" => wanted.retain(|it| it.name() == value),
            _ => return Err(format!("`{word}` is none of --inputs, --target, --seed")),
        }
    }
    if wanted.is_empty() {
        return Err(format!("targets are {}", Target::ALL.map(Target::name).join(" and ")));
    }
    Ok((wanted, inputs, seed))
}

#[expect(clippy::print_stdout, reason = "a program that reports")]
fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (wanted, inputs, first) = options(std::env::args().skip(1))?;
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    let files = Files::within(folder.path());
    let mut clean = true;
    for target in wanted {
        let (start, mut opened, mut failed) = (Instant::now(), 0_u64, None);
        for seed in (0..inputs).map(|i| first.wrapping_add(i)) {
            match targets::check(target, &files, seed) {
                Ok(open) => opened += u64::from(open),
                Err(problem) => {
                    failed = Some((seed, problem));
                    break;
                }
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        match failed {
            None => println!("{:10} {inputs} inputs, {opened} opened, {seconds:.1} s, clean", target.name()),
            Some((seed, problem)) => {
                clean = false;
                println!("{:10} failed after {seconds:.1} s: seed {seed}: {problem}", target.name());
            }
        }
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
