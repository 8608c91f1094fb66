//! `ridgeline quantize`: converts a checkpoint to a GGUF file with a quantization type or mix.

use super::flags::{MODEL, mix, mixes};
use super::outputs;
use crate::globals::{Globals, UsageError};
use crate::output;
use ridgeline_measure::models;
use ridgeline_quant::{Format, Mix};
use ridgeline_weights::{Checkpoint, Progress, TensorInfo};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Quantize a model to a GGUF file
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "IN", help = MODEL)]
    input: String,
    /// GGUF file to write
    #[arg(value_name = "OUT.gguf")]
    out: PathBuf,
    #[arg(value_name = "TYPE", value_parser = mix, help = type_help())]
    mix: &'static Mix,
    /// Quantize all matrices to the mix's base type, such as `Q4_K` for `Q4_K_M`, as llama-quantize --pure does
    #[arg(long)]
    pure: bool,
    /// Quantize weights that are quantized already, which loses more than quantizing the original weights
    #[arg(long)]
    allow_requantize: bool,
    /// Replace an existing output file
    #[arg(long)]
    force: bool,
}

fn type_help() -> String {
    format!(
        "Type or mix of the matrices, as in llama-quantize, in any case or by its number: {}. Other tensors become F32",
        mixes()
    )
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let checkpoint = models::checkpoint(&args.input, None)?;
    outputs::check(&args.out, checkpoint.files(), args.force)?;
    if !args.allow_requantize {
        check_original(&checkpoint, &args)?;
    }
    let started = Instant::now();
    let progress = |it: Progress<'_>| {
        let width = it.total.to_string().len();
        output::note(&format!("[{:>width$}/{}] {} {}", it.done + 1, it.total, it.tensor, it.format));
    };
    ridgeline_weights::quantize(&checkpoint, &args.out, args.mix, args.pure, progress)?;
    let seconds = started.elapsed().as_secs_f64();
    let (before, after) = (checkpoint.file_bytes(), std::fs::metadata(&args.out)?.len());
    let weights: u64 = checkpoint.tensors().map(|it| it.n_weights()).sum();
    let bits = 8.0 * after as f64 / weights.max(1) as f64;
    if globals.json {
        output::json(&serde_json::json!({
            "in": args.input, "out": args.out, "type": args.mix.name, "pure": args.pure, "bytes_in": before,
            "bytes_out": after, "bits_per_weight": bits, "seconds": seconds,
        }))?;
    } else {
        let (before, after) = (output::bytes(before), output::bytes(after));
        let (out, mix) = (args.out.display(), args.mix);
        output::text(&format!(
            "{out}: {before} -> {after} ({mix}, {bits:.2} bits per weight, {seconds:.2} s)\n"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses weights that are quantized already, unless they keep their type.
fn check_original(checkpoint: &Checkpoint, args: &Args) -> anyhow::Result<()> {
    let formats = ridgeline_weights::formats(checkpoint, args.mix, args.pure)?;
    let quantized = |format: Format| format.spec().block_len > 1;
    match checkpoint.tensors().find(|it| quantized(it.format) && formats[it.name] != it.format) {
        None => Ok(()),
        Some(TensorInfo { name, format, .. }) => {
            let text = format!(
                "{}: tensor {name} is quantized to {format} already; start from the original weights, or add \
                 --allow-requantize",
                args.input
            );
            Err(UsageError(text).into())
        }
    }
}
