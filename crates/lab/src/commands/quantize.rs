//! `ridgeline quantize`: any checkpoint to a GGUF file in another number format.

use crate::cli::Globals;
use crate::{models, output};
use ridgeline_quant::Format;
use std::path::PathBuf;
use std::process::ExitCode;

/// Convert a model to a GGUF file with its matrices in another number format
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file, safetensors folder, or a name under models/
    #[arg(value_name = "IN")]
    input: String,
    /// File to write
    #[arg(value_name = "OUT.gguf")]
    out: PathBuf,
    /// Number format of the matrices; vectors stay in single precision
    #[arg(value_name = "TYPE")]
    format: Format,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let checkpoint = models::checkpoint(&args.input, None)?;
    models::write(&args.out, |partial| ridgeline_weights::convert(&checkpoint, partial, args.format))?;
    let (before, after) = (checkpoint.file_bytes(), std::fs::metadata(&args.out)?.len());
    if globals.json {
        output::json(&serde_json::json!({
            "in": args.input, "out": args.out, "format": args.format.spec().name,
            "bytes_in": before, "bytes_out": after,
        }))?;
    } else {
        let (before, after) = (output::bytes(before), output::bytes(after));
        output::text(&format!("{}: {before} -> {after} ({})\n", args.out.display(), args.format))?;
    }
    Ok(ExitCode::SUCCESS)
}
