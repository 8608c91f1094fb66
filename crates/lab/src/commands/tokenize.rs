//! `ridgeline tokenize`: prints the token ids of a text.

use super::flags::MODEL;
use super::prompt::{ESCAPE, read, stdin, unescape};
use crate::globals::{Globals, UsageError};
use crate::output;
use ridgeline_measure::models;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the token ids of a text on one line, without BOS and EOS
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = MODEL)]
    model: String,
    /// File with the text, in UTF-8 [default: stdin]
    #[arg(short, long, conflicts_with = "prompt")]
    file: Option<PathBuf>,
    /// The text, or - for stdin; not with -f
    #[arg(short, long, allow_hyphen_values = true)]
    prompt: Option<String>,
    #[arg(short, long, help = ESCAPE)]
    escape: bool,
    /// Read special tokens in the text, such as <s>, as those tokens, as `run` does [default: as plain text]
    #[arg(long)]
    parse_special: bool,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let checkpoint = models::checkpoint(&args.model, None)?;
    let tokenizer = models::tokenizer(&checkpoint)?.ok_or_else(|| {
        UsageError(format!(
            "{} has no vocabulary, because its weights are random: use a trained model",
            args.model
        ))
    })?;
    let text = args.text()?;
    let ids = if args.parse_special { tokenizer.encode_special(&text)? } else { tokenizer.encode(&text)? };
    if globals.json {
        output::json(&serde_json::json!({ "ids": ids }))?;
    } else {
        let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
        output::text(&(ids.join(" ") + "\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The whole text: here a line break at its end counts.
    fn text(&self) -> anyhow::Result<String> {
        let text = match (&self.prompt, &self.file) {
            (Some(text), _) if text != "-" => text.clone(),
            (None, Some(path)) => read(path)?,
            _ => stdin()?,
        };
        if self.escape { unescape(&text) } else { Ok(text) }
    }
}
