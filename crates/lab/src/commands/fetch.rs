//! `ridgeline fetch`: downloads models of the Hugging Face Hub into its cache.

use crate::globals::Globals;
use crate::{hub, output};
use ridgeline_hub::{Fetched, Name};
use ridgeline_measure::models;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Fetch models of the Hugging Face Hub, and print their paths; nothing is fetched twice
///
/// The cache is that of `huggingface_hub`: `HF_HUB_CACHE`, `HF_HOME/hub` or `~/.cache/huggingface/hub`. A model in it is named
/// `-m hf:user/model:QUANT`, which uses no network. `-hf user/model:QUANT` in place of -m fetches and uses it in one command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Models: user/model, with :QUANT, a GGUF file after the colon, or @REVISION; or a published shape, such as
    /// smollm2-135m. Without a quantization it is `Q4_K_M`, else the first GGUF file, else the safetensors folder
    #[arg(value_name = "MODEL", required = true)]
    names: Vec<String>,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for name in &args.names {
        all.push(fetch(name.strip_prefix(models::HUB).unwrap_or(name), globals)?);
    }
    if globals.json {
        output::json(&all)?;
    } else {
        let paths = all.iter().map(|it| format!("{}\n", it["path"].as_str().unwrap_or_default()));
        output::text(&paths.collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetches one model, and describes it.
fn fetch(name: &str, globals: &Globals) -> anyhow::Result<Value> {
    if !name.contains('/') {
        let name = hub::published(name, globals)?;
        return Ok(json!({ "model": name, "path": models::path(&name)? }));
    }
    let name: Name = name.parse()?;
    let Fetched { found, commit, files } = hub::fetch(&name, globals)?;
    let file = |it: &ridgeline_hub::FetchedFile| json!({ "file": it.file, "bytes": it.bytes, "checksum": it.checksum, "downloaded": it.downloaded });
    Ok(json!({
        "model": format!("{}{name}", models::HUB), "path": found.path, "commit": commit,
        "files": files.iter().map(file).collect::<Vec<_>>(),
    }))
}
