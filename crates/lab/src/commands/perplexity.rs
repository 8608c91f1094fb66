//! `ridgeline perplexity`: perplexity of a model on a text, and its divergence from a reference model.

use super::accepted::AcceptedArgs;
use super::flags::{Length, MODEL, SessionArgs, first_difference, format_help, vocabulary_of, warn_beyond};
use super::prompt::{ESCAPE, text_of, unescape};
use crate::globals::{Globals, UsageError};
use crate::{install, output};
use ridgeline_experiment::quality::{Estimate, PairedSummary};
use ridgeline_experiment::report::{Align, Table};
use ridgeline_measure::models::Loaded;
use ridgeline_measure::quality::{Quality, SHORTEST, Text};
use ridgeline_measure::{Device, models};
use ridgeline_model::{Session, SessionOptions, Shared, Switches};
use ridgeline_quant::Format;
use ridgeline_text::Tokenizer;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

/// Tokens per chunk without `-c`, as in llama-perplexity.
const CHUNK: usize = 512;

/// Measure perplexity on a text as llama-perplexity does: in chunks of -c tokens, scoring each chunk's second half
#[derive(Debug, clap::Args)]
#[command(mut_arg("ctx_size", |arg| arg.help("Tokens of a chunk; 0 is the default [default: 512]")))]
pub(crate) struct Args {
    #[arg(short, long, help = MODEL)]
    model: String,
    #[arg(long, help = format_help(), value_name = "TYPE")]
    format: Option<Format>,
    /// Text file to score, in UTF-8, without the line break at its end
    #[arg(short, long, required_unless_present = "prompt", conflicts_with = "prompt")]
    file: Option<PathBuf>,
    /// Text to score, or - for stdin; in place of -f
    #[arg(short, long, allow_hyphen_values = true)]
    prompt: Option<String>,
    #[arg(short, long, help = ESCAPE)]
    escape: bool,
    /// Score only the first N chunks; -1 is all
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    chunks: i64,
    /// Also print KL(reference ‖ model) and how often the most likely token agrees. Typical: the model before
    /// quantization [default: none]
    #[arg(long, value_name = "MODEL")]
    reference: Option<String>,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    accepted: AcceptedArgs,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let options = args.session.options(Length::AtMost(CHUNK), CHUNK)?;
    let options = SessionOptions { switches: Switches::exact(), ..options };
    if options.context < SHORTEST {
        return Err(UsageError(format!("-c must be at least {SHORTEST}")).into());
    }
    let chunks = match args.chunks {
        -1 => None,
        n => Some(
            usize::try_from(n)
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| UsageError("--chunks must be at least 1, or -1 for all".to_owned()))?,
        ),
    };
    args.accepted.note()?;
    let text = text_of(args.prompt.as_deref(), args.file.as_deref())?.unwrap_or_default();
    let text = if args.escape { unescape(&text)? } else { text };
    let mut device = install::open(globals)?;
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let loaded = models::load(&mut device, &args.model, args.format, tuning.clone())?;
    let reference =
        args.reference.as_deref().map(|name| models::load(&mut device, name, None, tuning)).transpose()?;
    for it in [Some(&loaded), reference.as_ref()].into_iter().flatten() {
        warn_beyond(options.context, it.model.config.trained_context);
    }
    let text = Text::new(tokenizer_of(&loaded, reference.as_ref())?, &text, options.context, chunks)?;

    let device = Rc::new(RefCell::new(device));
    let mut model = session(&loaded, &device, options)?;
    let mut other = reference.as_ref().map(|it| session(it, &device, options)).transpose()?;
    let mut quality = Quality::default();
    for i in 0..text.chunks() {
        quality.add(&text, i, &mut model, other.as_mut())?;
        if !globals.json {
            progress(i, &text, &quality);
        }
    }
    let result = Finished { quality, options, text, loaded, reference };
    if globals.json {
        output::json(&result.json()?)?;
    } else {
        result.print()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn session(
    loaded: &Loaded,
    device: &Shared<Device>,
    options: SessionOptions,
) -> anyhow::Result<Session<Device>> {
    Ok(Session::new(loaded.model.clone(), device.clone(), options)?)
}

/// The tokenizer of the text: that of the model, or the reference's where the model's own cannot be built. Files that other
/// programs converted often lack a part of their vocabulary.
fn tokenizer_of<'a>(model: &'a Loaded, reference: Option<&'a Loaded>) -> anyhow::Result<&'a Tokenizer> {
    let own = vocabulary_of(model);
    let Some(reference) = reference else { return own };
    match own {
        Ok(own) => same_tokens(model, reference).map(|()| own),
        Err(error) => {
            let other = vocabulary_of(reference)?;
            output::note(&format!(
                "warning: {error:#}; the text is read with the vocabulary of the reference"
            ));
            Ok(other)
        }
    }
}

/// Refuses models with different vocabularies: their probabilities are not comparable. Padding may differ.
fn same_tokens(model: &Loaded, reference: &Loaded) -> anyhow::Result<()> {
    if model.vocabulary.same_source(&reference.vocabulary) {
        return Ok(());
    }
    let other = match vocabulary_of(reference) {
        Err(error) if reference.vocabulary.exists() => {
            output::note(&format!("warning: {error:#}; whether the vocabularies are equal is not known"));
            return Ok(());
        }
        other => other?,
    };
    match first_difference(vocabulary_of(model)?, other) {
        Some(id) => {
            let (own, other) = (&model.id.name, &reference.id.name);
            let text = format!(
                "{own} and {other} differ in the text of token {id}: choose a reference with the same vocabulary"
            );
            Err(UsageError(text).into())
        }
        None => Ok(()),
    }
}

/// The running estimate after a chunk, on stderr.
fn progress(i: usize, text: &Text, quality: &Quality) {
    if let Some(ppl) = quality.perplexity.estimate() {
        output::note(&format!("[{}/{}] {:.4}", i + 1, text.chunks(), ppl.value));
    }
}

/// The results of a run.
struct Finished {
    quality: Quality,
    options: SessionOptions,
    text: Text,
    loaded: Loaded,
    reference: Option<Loaded>,
}

impl Finished {
    fn json(&self) -> anyhow::Result<Value> {
        let Self { quality, options, text, loaded, reference } = self;
        let mut value = json!({
            "model": serde_json::to_value(&loaded.id)?,
            "ctx": options.context, "chunks": text.chunks(), "batch": options.batch,
            "type_k": options.cache[0].to_string(), "type_v": options.cache[1].to_string(),
            "scored": quality.perplexity.nll().len(),
            "perplexity": serde_json::to_value(quality.perplexity.estimate())?,
            "tokens_per_second": quality.tokens_per_second(),
        });
        if let Some(reference) = reference {
            value["reference"] = json!({
                "model": serde_json::to_value(&reference.id)?,
                "perplexity": serde_json::to_value(quality.reference.estimate())?,
            });
            value["vs_reference"] = serde_json::to_value(quality.vs_reference())?;
        }
        Ok(value)
    }

    fn print(&self) -> anyhow::Result<()> {
        let Self { quality, options, text, loaded, reference } = self;
        let mut table = Table::new("", [("metric", Align::Left), ("value ± SE", Align::Left)]);
        let mut row = |name: String, value: String| table.push([name, value]);
        row(format!("PPL {}", loaded.id.name), plus_minus(quality.perplexity.estimate(), 4));
        if let (Some(reference), Some(paired)) = (reference, quality.vs_reference()) {
            let PairedSummary { delta_nll, ppl_ratio, kl, kl_median, top1_agreement, .. } = paired;
            row(format!("PPL {}", reference.id.name), plus_minus(quality.reference.estimate(), 4));
            row("PPL ratio".to_owned(), plus_minus(Some(ppl_ratio), 6));
            row("mean Δ NLL".to_owned(), plus_minus(Some(delta_nll), 6));
            row("mean KL(reference ‖ model)".to_owned(), plus_minus(Some(kl), 6));
            row("KL median".to_owned(), format!("{kl_median:.6}"));
            let tail = [("90 %", paired.kl_p90), ("99 %", paired.kl_p99), ("99.9 %", paired.kl_p999)];
            for (name, value) in tail.into_iter().chain([("max", paired.kl_max)]) {
                row(format!("KL {name}"), format!("{value:.6}"));
            }
            let percent = Estimate { value: 100.0 * top1_agreement.value, se: 100.0 * top1_agreement.se };
            row("top-1 agreement, %".to_owned(), plus_minus(Some(percent), 3));
        }
        row("tokens/s".to_owned(), format!("{:.1}", quality.tokens_per_second()));
        output::text(&output::table(&table))?;
        let (n, chunks, ctx) = (quality.perplexity.nll().len(), text.chunks(), options.context);
        output::note(&format!(
            "{n} tokens scored: the last {} of each of {chunks} chunks of {ctx}",
            text.scored()
        ));
        Ok(())
    }
}

/// An estimate with its standard error, as `5.1234 ± 0.0012`.
fn plus_minus(estimate: Option<Estimate>, decimals: usize) -> String {
    estimate.map_or_else(|| "–".to_owned(), |it| format!("{:.decimals$} ± {:.decimals$}", it.value, it.se))
}
