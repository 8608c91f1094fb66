//! `ridgeline synth`: writes random weights in a published shape. Timings do not depend on weight values.

use crate::globals::{Globals, Usage};
use crate::output;
use ridgeline_measure::models;
use ridgeline_weights::{Quantization, convert};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a GGUF file with random weights in the shape of a published model
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model shape: a name under models/, or a TOML file in the same form
    shape: String,
    /// Quantization type or mix of the matrices, by llama.cpp's name
    #[arg(value_name = "TYPE")]
    quantization: Quantization,
    /// File to write
    out: PathBuf,
    /// Seed of the weights
    #[arg(short, long, default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let path = models::path(&args.shape)?;
    if path.extension().is_none_or(|it| it != "toml") {
        return Err(Usage(format!("{} is a model and not a shape (TOML); use `quantize` for models", args.shape)).into());
    }
    let checkpoint = models::random(&path, args.quantization, args.seed)?;
    convert(&checkpoint, &args.out, args.quantization)?;
    let bytes = std::fs::metadata(&args.out)?.len();
    if globals.json {
        let format = args.quantization.name();
        output::json(&serde_json::json!({
            "out": args.out, "shape": args.shape, "format": format, "seed": args.seed, "bytes": bytes,
        }))?;
    } else {
        output::text(&format!("{}: {} ({})\n", args.out.display(), output::bytes(bytes), args.quantization))?;
    }
    Ok(ExitCode::SUCCESS)
}
