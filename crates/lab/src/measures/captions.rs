//! Captions: prompts of real text against random tokens of equal lengths, interleaved.

use super::{load, tokenizer};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_measure::models;
use ridgeline_measure::prompts::Prompts;
use ridgeline_measure::timing::repeat;
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_model::SessionOptions;
use serde::{Deserialize, Serialize};

/// One trained model and one file of prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of a model with a vocabulary.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// The prompts, one a line, relative to the parent folder of `models/`.
    pub prompts: String,
}

/// Times by prompt in nanoseconds, each the median of the repetitions, which interleave a prompt with its random tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Each prompt of text.
    pub text_ns: Vec<u64>,
    /// As many random tokens.
    pub random_ns: Vec<u64>,
    /// Tokens of all prompts.
    pub tokens: usize,
    /// Parameters of the model.
    pub params: u64,
}

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "captions";
    type Point = Point;
    type Row = Row;
}

impl Run<MeasureContext> for Kind {
    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        let loaded = load(cx, &point.model, &point.format)?;
        let path = models::root().join(&point.prompts);
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| Error::from(models::Error::Io { path, source }))?;
        let tokenizer = tokenizer(&loaded)?;
        let mut prompts = Prompts::new(tokenizer, &text, tokenizer.vocab_size(), cx.seed)?;
        let mut lengths: Vec<usize> = prompts.lengths().collect();
        let (count, tokens) = (lengths.len(), lengths.iter().sum());
        lengths.sort_unstable();
        lengths.dedup();
        let context = lengths.last().copied().unwrap_or(1);
        let mut session = cx.session(&loaded, SessionOptions { context, ..SessionOptions::default() })?;
        session.prepare(&lengths).map_err(Error::from)?;
        // The first repetition warms up.
        prompts.time(&mut session).map_err(Error::from)?;
        let times = repeat(budget, || prompts.time(&mut session).map_err(Error::from))?;
        let (text_ns, random_ns) = (0..count).map(|i| (median(&times, i, 0), median(&times, i, 1))).unzip();
        let params = loaded.model.report().params;
        let row = Row { text_ns, random_ns, tokens, params };
        let samples_ns = times.iter().map(|all| all.iter().map(|ns| ns[0]).sum()).collect();
        Ok(Measurement { row, samples_ns, check: None, model: Some(loaded.id.clone()) })
    }
}

/// Median over the repetitions of one side of a prompt.
fn median(times: &[Vec<[u64; 2]>], prompt: usize, side: usize) -> u64 {
    let mut own: Vec<u64> = times.iter().map(|all| all[prompt][side]).collect();
    own.sort_unstable();
    own[own.len() / 2]
}
