//! `ridgeline logits`: logits at every position, for comparison with other engines.

use super::flags::{MODEL, cache_help, format_help, warm_up};
use super::outputs;
use crate::globals::{Globals, UsageError};
use crate::{install, output};
use anyhow::Context;
use ridgeline_measure::models;
use ridgeline_model::{Session, SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::{LanguageModel, Rows, Sampler, Token};
use safetensors::tensor::{Dtype, TensorView};
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

/// Write the logits of every position to a safetensors file: the f32 tensor `logits`, tokens x vocabulary
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = MODEL)]
    model: String,
    /// Token ids, separated by commas; `tokenize` prints those of a text
    #[arg(long, value_delimiter = ',', required = true, value_name = "ID,ID,…")]
    tokens: Vec<Token>,
    /// Safetensors file to write; one of an earlier run is replaced
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    #[arg(long, help = format_help(), value_name = "TYPE")]
    format: Option<Format>,
    #[arg(long, help = cache_help('K'), value_name = "TYPE", default_value_t = Format::SINGLE)]
    cache_type_k: Format,
    #[arg(long, help = cache_help('V'), value_name = "TYPE", default_value_t = Format::SINGLE)]
    cache_type_v: Format,
    /// Maximum tokens of a forward pass; longer sequences take several passes
    #[arg(short, long, default_value_t = 512)]
    batch_size: usize,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    if args.batch_size == 0 {
        return Err(UsageError("-b must be at least 1".to_owned()).into());
    }
    // The header of such a file names its only tensor.
    let is_own = |bytes: &[u8]| bytes.get(8..).is_some_and(|it| it.starts_with(b"{\"logits\""));
    outputs::replaceable(&args.out, "a file of logits", is_own)?;
    let mut device = install::open(globals)?;
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let loaded = models::load(&mut device, &args.model, args.format, tuning)?;
    let options = SessionOptions {
        context: args.tokens.len(),
        batch: args.batch_size,
        cache: [args.cache_type_k, args.cache_type_v],
        switches: Switches::exact(),
        ..SessionOptions::default()
    };
    let mut session = Session::new(loaded.model, Rc::new(RefCell::new(device)), options)?;
    warm_up(&mut session, &options, &[args.tokens.len()], &Sampler::greedy())?;
    let logits = session.extend(&args.tokens, Rows::All)?;
    if !logits.data.iter().all(|it| it.is_finite()) {
        return Err(ridgeline_measure::Error::NotNumbers.into());
    }
    let shape = [logits.rows(), logits.vocab];
    let bytes: Vec<u8> = logits.data.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes)?;
    let file = safetensors::serialize([("logits", view)], None)?;
    std::fs::write(&args.out, file).with_context(|| args.out.display().to_string())?;
    if globals.json {
        let model = serde_json::to_value(&loaded.id)?;
        output::json(&serde_json::json!({ "out": args.out, "shape": shape, "model": model }))?;
    } else {
        output::text(&format!("{}: logits {shape:?} f32\n", args.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
