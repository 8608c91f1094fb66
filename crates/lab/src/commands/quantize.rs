//! `ridgeline quantize`: converts a checkpoint to a GGUF file with a quantization type or mix.

use crate::globals::Globals;
use crate::output;
use ridgeline_measure::models;
use ridgeline_quant::Mix;
use ridgeline_weights::Progress;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Quantize a model to a GGUF file
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file, safetensors folder, or a name under models/
    #[arg(value_name = "IN")]
    input: String,
    /// File to write
    #[arg(value_name = "OUT.gguf")]
    out: PathBuf,
    /// Quantization mix by llama.cpp's name, such as `Q4_K_M`; tensors that are not matrices become F32
    #[arg(value_name = "TYPE")]
    mix: &'static Mix,
    /// Use one quantization type for all matrices, as llama-quantize --pure does
    #[arg(long)]
    pure: bool,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let checkpoint = models::checkpoint(&args.input, None)?;
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
        output::text(&format!("{out}: {before} -> {after} ({mix}, {bits:.2} bits per weight, {seconds:.2} s)\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
