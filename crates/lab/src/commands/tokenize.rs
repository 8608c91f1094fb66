//! `ridgeline tokenize`: prints the token ids of a text, without special tokens.

use super::flags::MODEL;
use crate::globals::{Globals, UsageError};
use crate::output;
use anyhow::Context;
use ridgeline_measure::models;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the token ids of a text on one line, without BOS and EOS; special tokens such as <s> count as plain text
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = MODEL)]
    model: String,
    /// File with the text, in UTF-8 [default: stdin]
    #[arg(short, long)]
    file: Option<PathBuf>,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let checkpoint = models::checkpoint(&args.model, None)?;
    let tokenizer = models::tokenizer(&checkpoint)?.ok_or_else(|| {
        UsageError(format!(
            "{} has no vocabulary, because its weights are random: use a trained model",
            args.model
        ))
    })?;
    let ids = tokenizer.encode(&text(&args)?)?;
    if globals.json {
        output::json(&serde_json::json!({ "ids": ids }))?;
    } else {
        let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
        output::text(&(ids.join(" ") + "\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(args: &Args) -> anyhow::Result<String> {
    let (bytes, name) = match &args.file {
        Some(path) => {
            (std::fs::read(path).with_context(|| path.display().to_string())?, path.display().to_string())
        }
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).context("stdin")?;
            (bytes, "stdin".to_owned())
        }
    };
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!("{name}: byte {at} is not UTF-8; the input must be UTF-8 text")
    })
}
