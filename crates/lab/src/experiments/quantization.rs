//! AG-1 and AG-2: quality and speed of one model in several quantization mixes. AG-3: one mix with two sets of weights.

mod claims;
mod figures;

use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::quality::{Estimate, PairedSummary};
use ridgeline_experiment::report::{Block, Section};
use ridgeline_measure::Error;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::models::{self, Loaded};
use ridgeline_measure::pass::{Bench, PassTiming, Test};
use ridgeline_measure::quality::{Quality, Text};
use ridgeline_model::{LoadReport, SessionOptions, Switches};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// One row of the sweep.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of a model with a vocabulary.
    pub model: String,
    /// Quantization type or mix of its matrices, such as `q4_k_m`.
    pub format: String,
    /// Quantization mix that the weights passed through before, or `none`: other weights in the same mix.
    pub requantized_from: String,
    /// Text for the perplexity, relative to the parent folder of `models/`.
    pub text: String,
    /// Number of chunks of 512 tokens of the text.
    pub chunks: usize,
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Bytes of the quantized weights.
    pub weight_bytes: u64,
    /// Parameters.
    pub params: u64,
    /// Perplexity.
    pub ppl: Estimate,
    /// Compared with the same model in half precision, on the same tokens.
    pub vs_reference: PairedSummary,
    /// Number of scored tokens.
    pub scored: usize,
    /// Timing of 32 generated tokens.
    pub generate: PassTiming,
    /// Timing of a prompt of 128 tokens.
    pub prompt: PassTiming,
    /// With `requantized_from`: interleaved A/B generation times in nanoseconds, these weights and then the model's own.
    pub interleaved_ns: Vec<[u64; 2]>,
}

/// Tokens per chunk, as in the study.
const CHUNK: usize = 512;
/// The tests that measure speed.
const GENERATE: Test = Test { prompt: 0, generate: 32 };
const PROMPT: Test = Test { prompt: 128, generate: 0 };
/// The quantization type that all others are compared with.
const REFERENCE: &str = "f16";

impl Row {
    /// Seconds per generated token of every repetition.
    fn step_seconds(&self) -> Vec<f64> {
        let per = GENERATE.generate as f64 * 1e9;
        self.generate.samples_ns.iter().map(|&ns| ns as f64 / per).collect()
    }

    /// Seconds per prompt of every repetition.
    fn prompt_seconds(&self) -> Vec<f64> {
        ridgeline_experiment::stats::seconds(&self.prompt.samples_ns)
    }

    /// Median of generated tokens per second.
    fn rate(&self) -> f64 {
        GENERATE.generate as f64 / self.generate.median_s()
    }

    /// Median of prompt tokens per second.
    fn prompt_rate(&self) -> f64 {
        PROMPT.prompt as f64 / self.prompt.median_s()
    }
}

impl Point {
    /// Whether the weights passed through another quantization mix before.
    fn is_requantized(&self) -> bool {
        self.requantized_from != "none"
    }

    fn label(&self) -> String {
        let format = self.format.to_uppercase();
        if self.is_requantized() {
            format!("{format} of {}", self.requantized_from.to_uppercase())
        } else {
            format
        }
    }
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<MeasureContext> for Study {
    const NAME: &'static str = "quantization";
    type Point = Point;
    type Row = Row;

    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        let source = if point.is_requantized() {
            file(&point.model, &point.requantized_from)?
        } else {
            point.model.clone()
        };
        let loaded = cx.load(&file(&source, &point.format)?, None)?;
        let reference = cx.load(&file(&point.model, REFERENCE)?, None)?;
        let quality = quality(cx, &loaded, &reference, point)?;
        let time = |test: Test| -> Result<PassTiming, RunError> {
            let longest = test.prompt + test.generate;
            let pass = Bench::new(cx, &loaded, 0, longest, SessionOptions::default())?.test(test, budget)?;
            pass.check(cx.machine.as_ref())?;
            Ok(pass)
        };
        let (generate, prompt) = (time(GENERATE)?, time(PROMPT)?);
        let interleaved_ns =
            if point.is_requantized() { run_interleaved(cx, &loaded, point, budget)? } else { Vec::new() };
        let few = || Error::ShortText { tokens: 0, chunk: CHUNK };
        let LoadReport { params, format_bytes, .. } = loaded.model.report();
        let row = Row {
            weight_bytes: format_bytes,
            params,
            ppl: quality.perplexity.estimate().ok_or_else(few)?,
            vs_reference: quality.vs_reference().ok_or(Error::NotNumbers)?,
            scored: quality.perplexity.nll().len(),
            generate,
            prompt,
            interleaved_ns,
        };
        let samples_ns = row.generate.samples_ns.clone();
        Ok(Measurement { row, samples_ns, check: None, model: Some(loaded.id.clone()) })
    }

    fn summarise(entries: &[Entry<'_, Point, Row>], context: &Context<'_>) -> Vec<Section> {
        let mut names: Vec<&str> = entries.iter().map(|e| e.point.model.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let section = |name: &str| {
            let own: Vec<_> = entries.iter().filter(|e| e.point.model == name).collect();
            let plain: Vec<_> = own.iter().copied().filter(|e| !e.point.is_requantized()).collect();
            let intro = "One model in several quantization types and mixes: perplexity (PPL) on the same tokens, its \
                         paired change from half precision, and speed. The standard error (SE) of a perplexity is \
                         mostly that of the text, which all rows share: only the paired change, Δ NLL, distinguishes \
                         two rows. NLL is the negative log-likelihood per token, KL the KL divergence from half \
                         precision, both in nats. Rows marked ● are on the Pareto front: no other row is smaller, \
                         closer to half precision and faster.";
            let mut section = Section::new(format!("Quantization sweep (AG-1, AG-2): {name}"), intro)
                .with(Block::Table(figures::table(&own, context)));
            for lines in figures::pareto_fronts(&plain) {
                section = section.with(Block::Lines(lines));
            }
            if let Some((text, lines)) = figures::line(&plain) {
                section = section.with(Block::Text(text)).with(Block::Lines(lines));
            }
            if let Some(text) = claims::same_format_two_weights(&own) {
                section = section.with(Block::Text(text));
            }
            section.with(Block::Verdicts(claims::verdicts(&own, context)))
        };
        names.into_iter().map(section).collect()
    }
}

/// The path of a model's file in a quantization type or mix.
fn file(model: &str, mix: &str) -> Result<String, Error> {
    Ok(models::quantized(model, mix.parse().map_err(Error::from)?)?.to_string_lossy().into_owned())
}

/// Times generation with these weights and with the model's own in the same mix.
///
/// The two are interleaved A/B, so that disturbances of the machine affect both.
fn run_interleaved(
    cx: &mut MeasureContext,
    loaded: &Rc<Loaded>,
    point: &Point,
    budget: &Budget,
) -> Result<Vec<[u64; 2]>, Error> {
    let own = cx.load(&file(&point.model, &point.format)?, None)?;
    let bench = |it: &Rc<Loaded>| Bench::new(cx, it, 0, GENERATE.generate, SessionOptions::default());
    let mut both = [bench(loaded)?, bench(&own)?];
    let once = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 0.0 };
    let mut interleaved_ns = Vec::new();
    for turn in 0..budget.max_reps {
        let mut pair = [0; 2];
        // The order within a pair alternates, so that neither side always runs first.
        for i in [turn as usize % 2, 1 - turn as usize % 2] {
            pair[i] = both[i].test(GENERATE, &once)?.samples_ns.iter().sum();
        }
        interleaved_ns.push(pair);
    }
    Ok(interleaved_ns)
}

/// Perplexity and KL divergence of the model, compared with its reference on the text.
fn quality(
    cx: &MeasureContext,
    loaded: &Rc<Loaded>,
    reference: &Rc<Loaded>,
    point: &Point,
) -> Result<Quality, Error> {
    let path = models::root().join(&point.text);
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|source| models::Error::Io { path: path.clone(), source })?;
    let tokenizer = loaded.tokenizer.as_ref();
    let tokenizer = tokenizer.ok_or_else(|| Error::NoVocabulary { name: loaded.id.name.clone() })?;
    let text = Text::new(tokenizer, &text, CHUNK, Some(point.chunks))?;
    let options = SessionOptions { context: CHUNK, switches: Switches::exact(), ..SessionOptions::default() };
    let (mut model, mut other) = (cx.session(loaded, options)?, cx.session(reference, options)?);
    let mut quality = Quality::default();
    for i in 0..text.chunks() {
        quality.add(&text, i, &mut model, Some(&mut other))?;
    }
    Ok(quality)
}
