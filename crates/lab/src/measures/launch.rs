//! Every kernel launch of a forward pass, timed in isolation and compared with its own roof.
//!
//! The launches are those that the model records. Each distinct one is repeated over the same buffers and timed by
//! slope, so that its working set is its own bytes. In a forward pass fewer of these bytes are cached.

use super::load;
use super::operation::nanoseconds;
use super::pass::is_default;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::profile::{Profiled, profile};
use ridgeline_model::{SessionOptions, Switches};
use ridgeline_quant::Format;
use serde::{Deserialize, Serialize};

/// One forward pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of the model.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// Batch size: tokens of the forward pass.
    pub tokens: usize,
    /// Tokens in the KV cache before the pass.
    pub depth: usize,
    /// Quantization type of keys and values in the cache; by default F16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Format>,
    /// Variations of the forward pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub switches: Switches,
}

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "launch";
    type Point = Point;
    type Row = Profiled;
}

impl Run<MeasureContext> for Kind {
    fn run(
        cx: &mut MeasureContext,
        point: &Point,
        budget: &Budget,
    ) -> Result<Measurement<Profiled>, RunError> {
        cx.require_clock()?;
        let loaded = load(cx, &point.model, &point.format)?;
        let cache = point.cache.map_or(SessionOptions::default().cache, |format| [format; 2]);
        let options = SessionOptions { cache, switches: point.switches, ..SessionOptions::default() };
        let row = profile(cx, &loaded, (point.depth, point.tokens), options, budget)?.row;
        let check = cx.machine.as_ref().map(|machine| row.check(machine));
        // A block's wall time depends on its calibrated length; the sum over the launches of the pass does not.
        let samples_ns = nanoseconds(&row.block_totals());
        Ok(Measurement { row, samples_ns, check, model: Some(loaded.id.clone()) })
    }
}
