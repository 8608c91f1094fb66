//! AG-1, AG-2 and AG-3: the same model in one number format after another, with what it costs in quality and what it
//! gives in speed, and the same format around two sets of weights.

mod claims;
mod figures;

use ridgeline_measure::Error;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::models::{self, Loaded};
use ridgeline_measure::pass::{Bench, PassTiming, Test};
use ridgeline_measure::quality::{Quality, Text};
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::quality::{Estimate, PairedSummary};
use ridgeline_experiment::report::{Block, Section};
use ridgeline_model::{LoadReport, SessionOptions, Switches};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// One rung.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of a model with a vocabulary.
    pub model: String,
    /// The recipe of its matrices, such as `q4_k_m`.
    pub format: String,
    /// A recipe that the weights went through before, or `none`: other weights in the same format.
    pub requantized_from: String,
    /// The text that is predicted, under the folder that holds `models/`.
    pub text: String,
    /// Chunks of 512 tokens of it.
    pub chunks: usize,
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Bytes of the weights in their formats.
    pub weight_bytes: u64,
    /// Parameters.
    pub params: u64,
    /// Perplexity.
    pub ppl: Estimate,
    /// Against the same model in half precision, on the same tokens.
    pub vs_reference: PairedSummary,
    /// Tokens scored.
    pub scored: usize,
    /// Generating 32 tokens.
    pub generate: PassTiming,
    /// Reading a prompt of 128.
    pub prompt: PassTiming,
    /// Where the weights went through another recipe: generating with them and with the model's own in interleaved_ns,
    /// nanoseconds of each.
    pub interleaved_ns: Vec<[u64; 2]>,
}

/// Tokens of a chunk, as in the study.
const CHUNK: usize = 512;
/// What is generated and read to measure speed.
const GENERATE: Test = Test { prompt: 0, generate: 32 };
const PROMPT: Test = Test { prompt: 128, generate: 0 };
/// The recipe that all others are held against.
const REFERENCE: &str = "f16";

impl Row {
    /// Seconds per generated token: every repetition.
    fn step_seconds(&self) -> Vec<f64> {
        let per = GENERATE.generate as f64 * 1e9;
        self.generate.samples_ns.iter().map(|&ns| ns as f64 / per).collect()
    }

    /// Seconds per prompt: every repetition.
    fn prompt_seconds(&self) -> Vec<f64> {
        ridgeline_experiment::stats::seconds(&self.prompt.samples_ns)
    }

    /// Generated tokens per second, the median.
    fn rate(&self) -> f64 {
        GENERATE.generate as f64 / self.generate.median_s()
    }

    /// Prompt tokens per second, the median.
    fn prompt_rate(&self) -> f64 {
        PROMPT.prompt as f64 / self.prompt.median_s()
    }
}

impl Point {
    fn label(&self) -> String {
        let format = self.format.to_uppercase();
        if self.requantized_from == "none" { format } else { format!("{format} of {}", self.requantized_from.to_uppercase()) }
    }
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<MeasureContext> for Study {
    const NAME: &'static str = "ladder";
    type Point = Point;
    type Row = Row;

    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        let source = if point.requantized_from == "none" { point.model.clone() } else { file(&point.model, &point.requantized_from)? };
        let loaded = cx.load(&file(&source, &point.format)?, None)?;
        let reference = cx.load(&file(&point.model, REFERENCE)?, None)?;
        let quality = read(cx, &loaded, &reference, point)?;
        let time = |test: Test| -> Result<PassTiming, RunError> {
            let longest = test.prompt + test.generate;
            let pass = Bench::new(cx, &loaded, 0, longest, SessionOptions::default())?.test(test, budget)?;
            pass.check(cx.machine.as_ref())?;
            Ok(pass)
        };
        let (generate, prompt) = (time(GENERATE)?, time(PROMPT)?);
        let interleaved_ns = if point.requantized_from == "none" { Vec::new() } else { run_interleaved(cx, &loaded, point, budget)? };
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
            let plain: Vec<_> = own.iter().copied().filter(|e| e.point.requantized_from == "none").collect();
            let intro = "One model in several number formats: perplexity on the same tokens, its change against half \
                         precision token by token, and speed. A perplexity's own error is mostly that of the text, \
                         which all formats share: only the paired change tells two formats apart. KL is the mean \
                         divergence from half precision in nats. Rungs marked ● are on the front: no other is at \
                         once smaller, closer to half precision and faster.";
            let mut section = Section::new(format!("Quantisation ladder (AG-1, AG-2): {name}"), intro)
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

/// The path of a model's file by a recipe.
fn file(model: &str, recipe: &str) -> Result<String, Error> {
    Ok(models::quantized(model, recipe.parse().map_err(Error::from)?)?.to_string_lossy().into_owned())
}

/// Generates with these weights and with the model's own in the same format, in interleaved_ns, so that whatever disturbs the
/// machine disturbs both.
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
        // Who goes first changes, too.
        for i in [turn as usize % 2, 1 - turn as usize % 2] {
            pair[i] = both[i].test(GENERATE, &once)?.samples_ns.iter().sum();
        }
        interleaved_ns.push(pair);
    }
    Ok(interleaved_ns)
}

/// Predicts the text with the model and its reference.
fn read(cx: &MeasureContext, loaded: &Rc<Loaded>, reference: &Rc<Loaded>, point: &Point) -> Result<Quality, Error> {
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
