//! `ridgeline speculate`: speculative decoding with a draft model, and its statistics.

use super::accepted::AcceptedArgs;
use super::flags::{
    MODEL, SamplingArgs, SessionArgs, first_difference, require_finite, vocabulary_of, warm_up,
};
use super::printer::{Printed, Printer, Timings, finish_name, ms, nanos, note_full};
use super::prompt::PromptArgs;
use crate::globals::{Globals, UsageError};
use crate::{install, output};
use ridgeline_measure::models::Loaded;
use ridgeline_measure::{Device, models};
use ridgeline_model::{Session, SessionOptions, Shared};
use ridgeline_speculative::{
    DraftOptions, Generation, ModelProposer, Sampler, Speculation, Speculator, Stats, Token, generate,
};
use ridgeline_text::Tokenizer;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

/// Generate text with a large model, sped up by a small draft model; the text is distributed as without it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(short, long, help = MODEL)]
    model: String,
    /// Draft model, given as -m is (also -md); its vocabulary must be that of the model of -m
    #[arg(long, value_name = "MODEL")]
    model_draft: String,
    /// Maximum draft length in tokens
    #[arg(long, visible_aliases = ["draft-max", "draft"], default_value_t = DraftOptions::default().n_max)]
    spec_draft_n_max: usize,
    /// Minimum draft length in tokens: a shorter greedy draft is dropped, and sampling drafts at least this many
    #[arg(long, visible_alias = "draft-min", default_value_t = DraftOptions::default().n_min)]
    spec_draft_n_min: usize,
    /// End a draft where the draft model's most likely token has less than this probability, 0 to 1; 0 is never
    #[arg(long, visible_alias = "draft-p-min", default_value_t = DraftOptions::default().p_min)]
    spec_draft_p_min: f64,
    /// Also generate once with the model of -m alone, and print the speedup
    #[arg(long)]
    baseline: bool,
    #[command(flatten)]
    prompt: PromptArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    accepted: AcceptedArgs,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let sampler = args.sampling.sampler()?;
    args.accepted.note()?;
    let mut device = install::open(globals)?;
    let tuning = ridgeline_measure::tune::stored(&mut device);
    let target = models::load_for_text(&mut device, &args.model, None, tuning.clone())?;
    let tokenizer = vocabulary_of(&target)?;
    let draft = models::load_with_rows(&mut device, &args.model_draft, tokenizer.used_size(), tuning)?;
    same_vocabulary(&target, &draft)?;
    let prompt = args.prompt.tokens(tokenizer, Ok)?;
    let trained = target.model.config.trained_context;
    let options = args.session.options(args.prompt.length(prompt.len()), trained)?;
    // Without a limit the context ends the text.
    let n = args.prompt.limit().unwrap_or(options.context + 1);
    let draft_options = DraftOptions {
        n_max: args.spec_draft_n_max,
        n_min: args.spec_draft_n_min,
        p_min: args.spec_draft_p_min,
    };
    let device = Rc::new(RefCell::new(device));
    let job = Job { args: &args, sampler, options, prompt, n, stop: args.prompt.stop(tokenizer) };
    // The target verifies the draft and one more token. The draft model first evaluates one or two accepted tokens.
    let longest = draft_options.n_max.min(n);
    let passes: Vec<usize> = (1..=longest + 1).collect();
    let mut session = job.session(&target, &device, &passes)?;
    let baseline = if args.baseline { Some(job.alone(&mut session, tokenizer)?) } else { None };
    let proposer = ModelProposer::new(job.session(&draft, &device, &[1, 2])?, sampler, draft_options);
    let mut speculator = Speculator::new(session, proposer.map_err(usage)?, sampler).map_err(usage)?;

    let mut printer = Printer::start(tokenizer, !globals.json);
    let clock = Instant::now();
    let Speculation { generation, stats } =
        speculator.generate(&job.prompt, n, &job.stop, &mut |token| printer.push(token), &mut || {
            nanos(clock.elapsed())
        })?;
    let printed = printer.finish()?;
    note_full(generation.finish, job.options.context);
    let text = [&job.prompt[..], &generation.tokens].concat();
    require_finite(&mut speculator.into_parts().0, &text)?;
    let report = Report { generation, stats, printed, baseline, n_max: draft_options.n_max };
    if globals.json {
        output::json(&report.json(&job.prompt, &target, &draft)?)?;
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

/// Settings of both the speculative and the plain generation.
struct Job<'a> {
    args: &'a Args,
    sampler: Sampler,
    options: SessionOptions,
    prompt: Vec<Token>,
    /// Most tokens to generate.
    n: usize,
    stop: Vec<Token>,
}

impl Job<'_> {
    /// A session with its kernels compiled for the prompt and for `passes`.
    fn session(
        &self,
        loaded: &Loaded,
        device: &Shared<Device>,
        passes: &[usize],
    ) -> anyhow::Result<Session<Device>> {
        let mut session = Session::new(loaded.model.clone(), device.clone(), self.options)?;
        if !self.args.prompt.no_warmup {
            let prompt = self.prompt.len();
            // The first round of speculation evaluates the prompt's last token.
            let passes = [&[prompt, prompt.saturating_sub(1)], passes].concat();
            warm_up(&mut session, &self.options, &passes, &self.sampler)?;
        }
        // A broken draft model would only lower the acceptance rate.
        loaded.require_finite(&mut session)?;
        session.take_times();
        Ok(session)
    }

    /// Generates with the target alone.
    fn alone(&self, session: &mut Session<Device>, tokenizer: &Tokenizer) -> anyhow::Result<Baseline> {
        let mut printer = Printer::start(tokenizer, false);
        let output = generate(session, &self.sampler, &self.prompt, self.n, &self.stop, &mut |token| {
            printer.push(token)
        })?;
        let spent = session.take_times();
        let times = Timings::of(&printer.finish()?, self.prompt.len(), spent.tokens);
        Ok(Baseline { tokens: output.tokens, times: times.with(spent) })
    }
}

/// Generation with the target alone, for comparison.
struct Baseline {
    tokens: Vec<Token>,
    times: Timings,
}

/// The results of a speculative generation.
struct Report {
    generation: Generation,
    stats: Stats,
    printed: Printed,
    baseline: Option<Baseline>,
    n_max: usize,
}

impl Report {
    /// Time per token after the prompt, in nanoseconds.
    fn ns_per_token(&self) -> Option<f64> {
        let generated = self.stats.generated;
        (generated > 0).then(|| self.stats.decode_ns() as f64 / generated as f64)
    }

    /// Time per token of the target alone, in nanoseconds.
    fn alone_ns(&self) -> Option<f64> {
        self.baseline.as_ref().and_then(|it| it.times.tpot_ns)
    }

    /// Speedup over the target alone, without the prompt.
    fn speedup(&self) -> Option<f64> {
        Some(self.alone_ns()? / self.ns_per_token()?)
    }

    /// Acceptance rates at each draft position: over all drafts of that length, and given that all earlier tokens were
    /// accepted.
    fn rates(&self) -> Vec<(Option<f64>, Option<f64>)> {
        let positions = 0..self.stats.drafted_at.len();
        positions.map(|i| (self.stats.rate_at(i), self.stats.conditional_rate_at(i))).collect()
    }

    fn json(&self, prompt: &[Token], target: &Loaded, draft: &Loaded) -> anyhow::Result<Value> {
        let stats = &self.stats;
        let (rates, conditional): (Vec<_>, Vec<_>) = self.rates().into_iter().unzip();
        let alone = self.alone_ns();
        let relative = |ns: Option<f64>| Some(ns? / alone?);
        let baseline = match &self.baseline {
            None => Value::Null,
            Some(it) => json!({
                "timings": serde_json::to_value(it.times)?, "tokens": it.tokens,
                "same_tokens": it.tokens == self.generation.tokens,
            }),
        };
        Ok(json!({
            "text": self.printed.text, "tokens": self.generation.tokens, "prompt_tokens": prompt,
            "finish": finish_name(self.generation.finish),
            "model": serde_json::to_value(&target.id)?, "model_draft": serde_json::to_value(&draft.id)?,
            "stats": serde_json::to_value(stats)?,
            "acceptance_rate": stats.acceptance_rate(), "acceptance_at": rates,
            "conditional_acceptance_at": conditional, "tau": stats.tau(),
            "block_efficiency": stats.block_efficiency(self.n_max),
            "draft_ns_per_token": stats.draft_ns_per_token(), "verify_ns_per_round": stats.verify_ns_per_round(),
            "decode_ns_per_token": self.ns_per_token(),
            "c": relative(stats.draft_ns_per_token()), "v": relative(stats.verify_ns_per_round()),
            "speedup": self.speedup(), "baseline": baseline,
        }))
    }

    /// Prints the statistics on stderr, because stdout has the text.
    fn print(&self) {
        let stats = &self.stats;
        let percent =
            |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |it| format!("{:.1} %", 100.0 * it));
        let (n, rounds) = (stats.generated, stats.rounds);
        output::note(&format!("\n       generated = {n} tokens in {rounds} rounds"));
        let alpha = percent(stats.acceptance_rate());
        output::note(&format!(
            "        accepted = {} of {} drafted ({alpha})",
            stats.accepted, stats.drafted
        ));
        for (i, (rate, conditional)) in self.rates().into_iter().enumerate() {
            let (rate, conditional) = (percent(rate), percent(conditional));
            output::note(&format!(
                "     position {:>2} = {rate} (given the earlier ones: {conditional})",
                i + 1
            ));
        }
        let tau = stats.tau().map_or_else(|| "-".to_owned(), |it| format!("{it:.3}"));
        output::note(&format!("             tau = {tau} tokens per round = 1 + accepted / rounds"));
        output::note(&format!(
            "          prompt = {} target + {} draft",
            ms(stats.prefill_ns),
            ms(stats.draft_prefill_ns)
        ));
        output::note(&format!("        drafting = {}", ms(stats.draft_ns)));
        output::note(&format!("       verifying = {}", ms(stats.verify_ns)));
        output::note(&format!("        sampling = {}", ms(stats.sample_ns)));
        let per_second =
            |ns: Option<f64>| ns.map_or_else(|| "-".to_owned(), |it| format!("{:.2} t/s", 1e9 / it));
        output::note(&format!("      generation = {}", per_second(self.ns_per_token())));
        if let (Some(baseline), Some(speedup)) = (&self.baseline, self.speedup()) {
            let same = if baseline.tokens == self.generation.tokens { "the same" } else { "different" };
            let alone = per_second(self.alone_ns());
            output::note(&format!("    target alone = {alone}, {same} tokens: speedup {speedup:.3}"));
        }
    }
}

/// A setting out of range, or two models with different vocabularies.
fn usage(error: ridgeline_speculative::Error) -> UsageError {
    UsageError(error.to_string())
}

/// Refuses a draft model with another vocabulary than the target's. Padding may differ.
fn same_vocabulary(target: &Loaded, draft: &Loaded) -> anyhow::Result<()> {
    if target.vocabulary.same_source(&draft.vocabulary) {
        return Ok(());
    }
    let (target, other) = (vocabulary_of(target)?, vocabulary_of(draft)?);
    match first_difference(target, other) {
        None => Ok(()),
        Some(id) => {
            let name = &draft.id.name;
            let text = format!(
                "draft model {name} and the target differ in token {id}: use one with the target's vocabulary"
            );
            Err(UsageError(text).into())
        }
    }
}
