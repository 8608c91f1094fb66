//! Quality: perplexity of a model on a text, and its difference from half precision on the same tokens.

use super::{load, tokenizer};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_experiment::quality::{Estimate, PairedSummary};
use ridgeline_measure::models::{self, Loaded};
use ridgeline_measure::quality::{Quality, Text};
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_model::{LoadReport, SessionOptions, Switches};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// One model in one quantization type or mix, on one text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of a model with a vocabulary.
    pub model: String,
    /// Quantization type or mix of its matrices, such as `q4_k_m`.
    pub format: String,
    /// The model in the precision that it is compared with.
    pub reference: String,
    /// The text, relative to the parent folder of `models/`.
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
    /// Compared with the reference, on the same tokens.
    pub vs_reference: PairedSummary,
    /// Number of scored tokens.
    pub scored: usize,
}

/// Tokens per chunk, as in the study.
const CHUNK: usize = 512;

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "quality";
    type Point = Point;
    type Row = Row;
    const DETERMINISTIC: bool = true;
}

impl Run<MeasureContext> for Kind {
    /// Quality does not depend on time, so that the budget is not used and every visit gives the same row.
    fn run(cx: &mut MeasureContext, point: &Point, _: &Budget) -> Result<Measurement<Row>, RunError> {
        let loaded = load(cx, &point.model, &point.format)?;
        let reference = cx.load(&point.reference, None)?;
        let quality = compared(cx, &loaded, &reference, point)?;
        let few = || Error::ShortText { tokens: 0, chunk: CHUNK };
        let LoadReport { params, format_bytes, .. } = loaded.model.report();
        let row = Row {
            weight_bytes: format_bytes,
            params,
            ppl: quality.perplexity.estimate().ok_or_else(few)?,
            vs_reference: quality.vs_reference().ok_or(Error::NotNumbers)?,
            scored: quality.perplexity.nll().len(),
        };
        Ok(Measurement { row, samples_ns: Vec::new(), check: None, model: Some(loaded.id.clone()) })
    }
}

/// Perplexity and KL divergence of the model, compared with its reference on the text.
fn compared(
    cx: &MeasureContext,
    loaded: &Rc<Loaded>,
    reference: &Rc<Loaded>,
    point: &Point,
) -> Result<Quality, Error> {
    let path = models::root().join(&point.text);
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|source| models::Error::Io { path: path.clone(), source })?;
    // A conversion has the reference's vocabulary.
    let tokenizer = tokenizer(loaded).or_else(|_| tokenizer(reference))?;
    let text = Text::new(tokenizer, &text, CHUNK, Some(point.chunks))?;
    let options = SessionOptions { context: CHUNK, switches: Switches::exact(), ..SessionOptions::default() };
    let (mut model, mut other) = (cx.session(loaded, options)?, cx.session(reference, options)?);
    let mut quality = Quality::default();
    for i in 0..text.chunks() {
        quality.add(&text, i, &mut model, Some(&mut other))?;
    }
    Ok(quality)
}
