//! `ridgeline run`: generates text from a prompt, or the answers of a chat.

use super::accepted::AcceptedArgs;
use super::chat::{self, ChatArgs};
use super::flags::{MODEL, SamplingArgs, SessionArgs, format_help, require_finite, vocabulary_of, warm_up};
use super::images::{Encoded, ImageArgs};
use super::printer::{Printer, Timings, finish_name, ms, note_full, rate};
use super::prompt::PromptArgs;
use crate::globals::Globals;
use crate::{install, output};
use ridgeline_measure::models;
use ridgeline_model::Session;
use ridgeline_quant::Format;
use ridgeline_speculative::generate;
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

/// Generate text from a prompt, or chat; stdout has only the generated text, stderr has the times
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = MODEL)]
    model: String,
    #[arg(long, help = format_help(), value_name = "TYPE")]
    format: Option<Format>,
    #[command(flatten)]
    pub(super) prompt: PromptArgs,
    #[command(flatten)]
    pub(super) images: ImageArgs,
    #[command(flatten)]
    pub(super) chat: ChatArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    pub(super) session: SessionArgs,
    #[command(flatten)]
    accepted: AcceptedArgs,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let sampler = args.sampling.sampler()?;
    args.accepted.note()?;
    let mut device = install::open(globals)?;
    let begun = Instant::now();
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let loaded = models::load_for_text(&mut device, &args.model, args.format, tuning)?;
    let images = if args.images.is_on() {
        Some(args.images.load(&args.model, &loaded.model, &mut device)?)
    } else {
        None
    };
    let load = begun.elapsed();
    let device = Rc::new(RefCell::new(device));
    if args.chat.is_on() {
        return chat::run(&args, &loaded, (device, images), sampler, globals.json);
    }
    let tokenizer = vocabulary_of(&loaded)?;
    let begun = Instant::now();
    let expand = |text: String| match &images {
        Some(images) => images.expand(&text),
        None => Ok(text),
    };
    let prompt = args.prompt.tokens(tokenizer, expand)?;
    let tokenize = begun.elapsed();

    let trained = loaded.model.config.trained_context;
    let options = args.session.options(args.prompt.length(prompt.len()), trained)?;
    // Without a limit the context ends the text.
    let n = args.prompt.limit().unwrap_or(options.context + 1);
    let mut session = Session::new(loaded.model.clone(), device, options)?;
    if !args.prompt.no_warmup {
        warm_up(&mut session, &options, &[prompt.len(), 1], &sampler)?;
    }
    let encoded = images.map(|it| it.give(&mut session, tokenizer, &prompt)).transpose()?;
    let mut printer = Printer::start(tokenizer, !globals.json);
    let stop = args.prompt.stop(tokenizer);
    let output = generate(&mut session, &sampler, &prompt, n, &stop, &mut |token| printer.push(token))?;
    let printed = printer.finish()?;
    note_full(output.finish, options.context);
    let count = output.tokens.len();
    let spent = session.take_times();
    let times = Timings::of(&printed, prompt.len(), spent.tokens).after(load, tokenize).with(spent);
    require_finite(&mut session, &[&prompt[..], &output.tokens].concat())?;
    if globals.json {
        let mut json = serde_json::json!({
            "text": printed.text, "tokens": output.tokens, "prompt_tokens": prompt,
            "finish": finish_name(output.finish), "model": serde_json::to_value(&loaded.id)?,
            "seed": sampler.seed, "timings": serde_json::to_value(times)?,
        });
        if let Some(encoded) = encoded {
            json["images"] = serde_json::to_value(encoded)?;
        }
        output::json(&json)?;
    } else {
        summary(&times, encoded, prompt.len(), count);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the times on stderr, as llama.cpp does.
fn summary(times: &Timings, encoded: Option<Encoded>, prompt: usize, predicted: usize) {
    output::note(&format!("\n       load time = {:>12}", ms(times.load_ns)));
    if let Some(Encoded { tiles, encode_ns, .. }) = encoded {
        output::note(&format!("image encode time = {:>11} / {tiles:5} tiles", ms(encode_ns)));
    }
    let rate_of_prompt = rate(times.prompt_per_second);
    output::note(&format!(
        "prompt eval time = {:>12} / {prompt:5} tokens ({rate_of_prompt})",
        ms(times.prompt_ns)
    ));
    let (later, rate_of_eval) = (predicted.saturating_sub(1), rate(times.predicted_per_second));
    output::note(&format!(
        "       eval time = {:>12} / {later:5} tokens ({rate_of_eval})",
        ms(times.predicted_ns)
    ));
    let total = times.tokenize_ns + times.prompt_ns + times.predicted_ns;
    output::note(&format!("      total time = {:>12} / {:5} tokens", ms(total), prompt + later));
}
