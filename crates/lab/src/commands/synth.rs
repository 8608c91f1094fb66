//! `ridgeline synth`: writes random weights in a published shape. Timings do not depend on weight values.

use super::flags::{quantization, quantizations};
use super::outputs;
use crate::globals::{Globals, UsageError};
use crate::output;
use ridgeline_measure::models;
use ridgeline_weights::{Quantization, convert};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a GGUF file with random weights in the dimensions of a published model, for timing
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dimensions of the model: the name of a file models/<NAME>.toml, or a TOML file with the same keys. NAME@4 has 4 layers
    shape: String,
    #[arg(value_name = "TYPE", value_parser = quantization, help = type_help())]
    quantization: Quantization,
    /// GGUF file to write
    #[arg(value_name = "OUT.gguf")]
    out: PathBuf,
    /// Replace an existing output file
    #[arg(long)]
    force: bool,
    /// Seed of the weights
    #[arg(short, long, default_value_t = 0)]
    seed: u64,
}

fn type_help() -> String {
    format!("Type or mix of the matrices, in any case: {}", quantizations())
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let (path, size) = models::sized(&args.shape)?;
    if path.extension().is_none_or(|it| it != "toml") {
        return Err(UsageError(format!(
            "{} is a model and not a shape (TOML); use `quantize` for models",
            args.shape
        ))
        .into());
    }
    if let (shape, Some(quantization)) = models::split_quantization(&args.shape) {
        let text = format!(
            "{} names a quantization, which is the argument after it: synth {shape} {quantization}",
            args.shape
        );
        return Err(UsageError(text).into());
    }
    outputs::check(&args.out, &[], args.force)?;
    let checkpoint = models::random(&path, size, args.quantization, args.seed)?;
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
