//! Tokens: the greedy continuations of a few prompts. Time does not matter.

use super::speculation::PROMPTS;
use super::{load, tokenizer};
use ridgeline_experiment::data::Entry;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_model::SessionOptions;
use ridgeline_speculative::{Sampler, Token, generate};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// One trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of a model with a vocabulary.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// Tokens of each continuation.
    pub tokens: usize,
}

/// The ids of the continuations, one list for each prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Ids in the model's vocabulary.
    pub ids: Vec<Vec<Token>>,
}

/// A cell of this measure.
pub(crate) type Continuations<'a> = Entry<'a, Point, Row>;

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "tokens";
    type Point = Point;
    type Row = Row;
    const DETERMINISTIC: bool = true;
}

impl Run<MeasureContext> for Kind {
    /// Greedy text does not depend on time, so that the budget is not used and every visit gives the same row.
    fn run(cx: &mut MeasureContext, point: &Point, _: &Budget) -> Result<Measurement<Row>, RunError> {
        let loaded = load(cx, &point.model, &point.format)?;
        let tokenizer = tokenizer(&loaded)?;
        let prompts = PROMPTS.iter().map(|it| tokenizer.encode(it.1)).collect::<Result<Vec<_>, _>>();
        let prompts = prompts.map_err(Error::from)?;
        let context = prompts.iter().map(Vec::len).max().unwrap_or(0) + point.tokens;
        let mut session = cx.session(&loaded, SessionOptions { context, ..SessionOptions::default() })?;
        let sampler = Sampler::greedy();
        let mut continued = |prompt: &Vec<Token>| {
            let go = &mut |_| ControlFlow::Continue(());
            generate(&mut session, &sampler, prompt, point.tokens, &[], go).map(|it| it.tokens)
        };
        let ids = prompts.iter().map(&mut continued).collect::<Result<Vec<_>, _>>().map_err(Error::from)?;
        Ok(Measurement {
            row: Row { ids },
            samples_ns: Vec::new(),
            check: None,
            model: Some(loaded.id.clone()),
        })
    }
}
