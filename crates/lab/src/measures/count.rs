//! Counts: work and traffic of forward passes from their recordings. Nothing runs, so that any length can be counted.

use super::pass::Work;
use super::{cut, load};
use crate::cut::{Cut, with_layers};
use ridgeline_experiment::data::Entry;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_measure::pass::{Bench, Test};
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_model::SessionOptions;
use ridgeline_roofline::Cost;
use serde::{Deserialize, Serialize};

/// One kind of work of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of the model.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// The work.
    pub work: Work,
    /// Tokens in the KV cache before it.
    pub depth: usize,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Of the whole work.
    pub cost: Cost,
    /// Of its prompt alone.
    pub prompt: Cost,
    /// The numbers of layers that were counted, where they give those of the whole model.
    pub cut: Option<Cut>,
}

/// A cell of this measure.
pub(crate) type Count<'a> = Entry<'a, Point, Row>;

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "count";
    type Point = Point;
    type Row = Row;
    const DETERMINISTIC: bool = true;
}

impl Run<MeasureContext> for Kind {
    /// Counts do not depend on time, so that the budget is not used and every visit gives the same row.
    fn run(cx: &mut MeasureContext, point: &Point, _: &Budget) -> Result<Measurement<Row>, RunError> {
        // Two layers load sooner than all, and every layer of a kind costs the same.
        let cut = cut(&point.model, &point.format, 0.0)?;
        let row = match cut {
            None => counted(cx, std::slice::from_ref(&point.model), point)?[0],
            Some(cut) => {
                let names = cut.measured.map(|layers| with_layers(&point.model, layers));
                let rows = counted(cx, &names, point)?;
                let line = |of: fn(&Row) -> Cost| of(&rows[0]).extrapolated(&of(&rows[1]), cut.by());
                Row { cost: line(|row| row.cost), prompt: line(|row| row.prompt), cut: Some(cut) }
            }
        };
        Ok(Measurement::new(row, Vec::new()))
    }
}

/// The counts of models in place of the point's own.
fn counted(cx: &mut MeasureContext, models: &[String], point: &Point) -> Result<Vec<Row>, Error> {
    // All are loaded before the first is counted: a model that nothing holds is freed when the next one is loaded.
    let loaded = models.iter().map(|name| load(cx, name, &point.format)).collect::<Result<Vec<_>, _>>()?;
    let count = |model| {
        let options = SessionOptions::default();
        let mut bench = Bench::new(cx, model, point.depth, point.work.tokens(), options)?;
        let (test, rows) = point.work.test();
        let prompt = match test.prompt {
            0 => Cost::ZERO,
            prompt => bench.cost(Test { prompt, generate: 0 }, rows)?,
        };
        Ok(Row { cost: bench.cost(test, rows)?, prompt, cut: None })
    };
    loaded.iter().map(|it| count(it)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Point, Row};
    use ridgeline_experiment::matrix::Budget;
    use ridgeline_experiment::measure::Run;
    use ridgeline_measure::{Device, MeasureContext};

    fn count(model: &str) -> Row {
        let point = serde_json::json!({ "model": model, "format": "q8_0", "work": "pp600+tg40", "depth": 0 });
        let point: Point = serde_json::from_value(point).expect("a point");
        let device = Device::noop().expect("the no-op backend");
        let mut cx = MeasureContext::new(device, None, Default::default(), 0);
        let budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 0.0 };
        Kind::run(&mut cx, &point, &budget).expect("a count").row
    }

    #[test]
    fn two_layers_give_the_counts_of_all() {
        // A name with a number of layers is counted whole.
        let (cut, whole) = (count("bench-18m"), count("bench-18m@4"));
        assert_eq!((cut.cost, cut.prompt), (whole.cost, whole.prompt));
        assert!(cut.cut.is_some() && whole.cut.is_none());
        assert!(
            cut.prompt.flops < cut.cost.flops && cut.prompt.flops > 10 * (cut.cost.flops - cut.prompt.flops)
        );
    }
}
