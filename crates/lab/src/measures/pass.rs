//! Forward passes: prompts, generation and verification at a depth, as llama-bench measures them, or of several sequences
//! together, as llama-batched-bench does.

use super::{cut, load};
use crate::cut::{Cut, with_layers};
use ridgeline_experiment::data::Entry;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_experiment::record::ModelId;
use ridgeline_experiment::rows::Col;
use ridgeline_experiment::stats;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::pass::{Bench, Clock, PassTiming, Submission, Test};
use ridgeline_model::{SessionOptions, Switches};
use ridgeline_quant::Format;
use ridgeline_speculative::Rows;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// One kind of work of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of the model.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// The work of one repetition, of each sequence.
    pub work: Work,
    /// Tokens in the KV cache before it, of each sequence.
    pub depth: usize,
    /// Sequences that share the forward passes.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub sequences: NonZeroUsize,
    /// Whether the kernels of a decode step are timed too, isolated and back to back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kernels: bool,
    /// Quantization type of keys and values in the cache; by default F16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Format>,
    /// Variations of the forward pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub switches: Switches,
    /// How forward passes are submitted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub submission: Submission,
    /// Whether the host waits after every submission of a forward pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    /// Whether device timestamps are taken, for the third clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stamps: bool,
}

const fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(n: &NonZeroUsize) -> bool {
    *n == one()
}

/// Whether a value is its type's default, which a point leaves out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Point {
    /// Whether nothing but model, format, work and depth varies.
    pub(crate) fn is_default(&self) -> bool {
        let Self { sequences, cache, switches, submission, wait, stamps, .. } = self;
        let one_sequence = is_one(sequences);
        one_sequence && cache.is_none() && is_default(switches) && is_default(submission) && !wait && !stamps
    }

    /// Tokens of one repetition, of all sequences.
    pub(crate) const fn tokens(&self) -> usize {
        self.sequences.get() * self.work.tokens()
    }

    /// Options of its session.
    fn options(&self) -> SessionOptions {
        // With logits for all rows in one recording, a verification is never split for a large vocabulary.
        let logit_rows = if let Work::Verify(n) = self.work { n } else { 1 };
        let cache = self.cache.map_or(SessionOptions::default().cache, |format| [format; 2]);
        let (sequences, switches) = (self.sequences.get(), self.switches);
        let options = SessionOptions { sequences, logit_rows, cache, switches, ..SessionOptions::default() };
        let clock = if self.stamps { Clock::Device } else { Clock::Complete };
        clock.options(self.submission.options(self.wait, options))
    }
}

/// The work of one repetition: `pp128`, `tg64`, `pp512+tg128`, or `verify4` with logits of all four tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Work {
    /// A prompt, a generation, or one after the other.
    Test(Test),
    /// One forward pass over so many tokens with logits of each.
    Verify(usize),
}

impl TryFrom<String> for Work {
    type Error = ridgeline_measure::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.strip_prefix("verify").and_then(|n| n.parse().ok()) {
            Some(n) if n > 0 => Ok(Self::Verify(n)),
            _ => text.parse().map(Self::Test),
        }
    }
}

impl From<Work> for String {
    fn from(work: Work) -> Self {
        match work {
            Work::Verify(n) => format!("verify{n}"),
            Work::Test(Test { prompt, generate: 0 }) => format!("pp{prompt}"),
            Work::Test(Test { prompt: 0, generate }) => format!("tg{generate}"),
            Work::Test(Test { prompt, generate }) => format!("pp{prompt}+tg{generate}"),
        }
    }
}

impl Work {
    /// `tgN`.
    pub(crate) const fn generation(n: usize) -> Self {
        Self::Test(Test { prompt: 0, generate: n })
    }

    /// Tokens of generation alone; `None` for other work.
    pub(crate) const fn generated(self) -> Option<usize> {
        match self {
            Self::Test(Test { prompt: 0, generate }) => Some(generate),
            _ => None,
        }
    }

    /// The test, and the rows of logits that its prompt needs.
    pub(crate) const fn test(self) -> (Test, Rows) {
        match self {
            Self::Test(test) => (test, Rows::Last),
            Self::Verify(n) => (Test { prompt: n, generate: 0 }, Rows::All),
        }
    }

    /// Tokens of one repetition of one sequence.
    pub(crate) const fn tokens(self) -> usize {
        match self {
            Self::Test(test) => test.prompt + test.generate,
            Self::Verify(n) => n,
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The measurement and its cost.
    pub pass: PassTiming,
    /// Prompt and generated tokens of one repetition, of each sequence.
    pub test: Test,
    /// The device's graphics API.
    pub backend: String,
    /// The device.
    pub adapter: String,
    /// Data types of keys and values in the KV cache.
    pub cache: [String; 2],
    /// Largest batch of one recording, tokens.
    pub batch: usize,
    /// The numbers of layers that were measured, where all would have taken too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

impl Row {
    /// Seconds of the median repetition of this visit.
    pub(crate) fn median_s(&self) -> Option<f64> {
        stats::median(&stats::seconds(&self.pass.samples_ns))
    }
}

/// A cell of this measure.
pub(crate) type Pass<'a> = Entry<'a, Point, Row>;
/// A column of a table of such cells.
pub(crate) type Column<'c> = Col<'c, Point, Row>;

/// The measure.
#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "pass";
    type Point = Point;
    type Row = Row;
}

impl Run<MeasureContext> for Kind {
    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        match visit(cx, &point.model, point, budget)? {
            Visit::Measured(measurement) => Ok(*measurement),
            Visit::TooLong(too_long) => with_fewer_layers(cx, point, budget, &too_long),
        }
    }
}

/// A visit of a model.
enum Visit {
    Measured(Box<Measurement<Row>>),
    TooLong(TooLong),
}

/// A visit that was not begun, because it would take longer than the run allows.
struct TooLong {
    predicted_s: f64,
    longest_s: f64,
    model: ModelId,
}

impl TooLong {
    fn skip(&self, remedy: &str) -> RunError {
        let Self { predicted_s, longest_s, .. } = self;
        RunError::skip(format!(
            "a visit is predicted to take at least {predicted_s:.0} s, more than the {longest_s:.0} s of a tenth of \
             --max-time; {remedy}"
        ))
    }
}

/// Measures a point with this model in place of its own, unless that takes too long.
fn visit(cx: &mut MeasureContext, model: &str, point: &Point, budget: &Budget) -> Result<Visit, RunError> {
    let loaded = load(cx, model, &point.format)?;
    let options = point.options();
    let mut bench = Bench::new(cx, &loaded, point.depth, point.work.tokens(), options)?;
    if let Some((predicted_s, longest_s)) = too_long(cx, &mut bench, point.work)? {
        return Ok(Visit::TooLong(TooLong { predicted_s, longest_s, model: loaded.id.clone() }));
    }
    let (mut pass, test) = match point.work {
        Work::Test(test) => (bench.test(test, budget)?, test),
        Work::Verify(n) => (bench.verify(n, budget)?, Test { prompt: n, generate: 0 }),
    };
    pass.check(cx.machine.as_ref())?;
    if let (true, Some(n)) = (point.kernels, point.work.generated()) {
        let kernels = Budget { warmup: 0, min_reps: 3, max_reps: 60, budget_s: budget.budget_s };
        bench.time_kernels(&mut pass, n, &kernels)?;
    }
    let (backend, adapter) = cx.names();
    let (cache, batch) = (options.cache.map(|it| it.spec().name.to_owned()), options.batch);
    let samples_ns = pass.samples_ns.clone();
    let row = Row { pass, test, backend, adapter, cache, batch, cut: None };
    let model = Some(loaded.id.clone());
    Ok(Visit::Measured(Box::new(Measurement { row, samples_ns, check: None, model })))
}

/// Repetitions of the shortest visit, warm-up included.
const LEAST_REPETITIONS: f64 = 3.0;

/// The predicted and the longest allowed seconds of a visit that would take longer than the run allows, by the ceilings of
/// the device.
///
/// The prediction is the same for short and full visits, so that a cell has as many layers in each round.
fn too_long(cx: &MeasureContext, bench: &mut Bench, work: Work) -> Result<Option<(f64, f64)>, RunError> {
    let (Some(longest_s), Some(machine)) = (cx.longest_s, &cx.machine) else { return Ok(None) };
    let (test, rows) = work.test();
    let predicted_s = LEAST_REPETITIONS * bench.roof_s(test, rows, machine)?;
    Ok((predicted_s > longest_s).then_some((predicted_s, longest_s)))
}

/// Measures two smaller numbers of layers with random weights, and takes the whole model to be on the line through them.
fn with_fewer_layers(
    cx: &mut MeasureContext,
    point: &Point,
    budget: &Budget,
    whole: &TooLong,
) -> Result<Measurement<Row>, RunError> {
    // Both visits and the parts outside the layers share the time.
    let share = 0.4 * whole.longest_s / whole.predicted_s;
    let cut = cut(&point.model, &point.format, share)?.ok_or_else(|| whole.skip("give more time"))?;
    let half = Budget { budget_s: 0.5 * budget.budget_s, ..*budget };
    let mut rows = Vec::new();
    for layers in cut.measured {
        match visit(cx, &with_layers(&point.model, layers), point, &half)? {
            Visit::Measured(measurement) => rows.push(measurement.row),
            Visit::TooLong(_) => return Err(whole.skip(&format!("{cut} take too long, too; give more time"))),
        }
    }
    let pass = rows[0].pass.extrapolated(&rows[1].pass, cut.by());
    pass.check(cx.machine.as_ref())?;
    let row = Row { pass, cut: Some(cut), ..rows.remove(1) };
    let samples_ns = row.pass.samples_ns.clone();
    Ok(Measurement { row, samples_ns, check: None, model: Some(whole.model.clone()) })
}

#[cfg(test)]
mod tests {
    use super::{Cut, Kind, Point, Visit, Work, visit};
    use ridgeline_experiment::matrix::Budget;
    use ridgeline_experiment::measure::{Run, RunError};
    use ridgeline_measure::{Device, MeasureContext};
    use ridgeline_roofline::Machine;

    const BUDGET: Budget = Budget { warmup: 0, min_reps: 3, max_reps: 3, budget_s: 0.0 };

    fn prompt(model: &str) -> Point {
        let point = serde_json::json!({ "model": model, "format": "q8_0", "work": "pp16", "depth": 0 });
        serde_json::from_value(point).expect("a point")
    }

    /// The no-op backend computes nothing, so no ceiling is too high for it.
    fn context() -> MeasureContext {
        let machine = Machine::flat("no-op", 1e18, 1e21).expect("positive");
        MeasureContext::new(Device::noop().expect("the no-op backend"), Some(machine), Default::default(), 0)
    }

    #[test]
    fn what_takes_too_long_is_measured_with_fewer_layers() {
        let (mut cx, point) = (context(), prompt("bench-18m"));
        cx.longest_s = Some(0.0);
        let refused = visit(&mut cx, &point.model, &point, &BUDGET).expect("a prediction");
        let Visit::TooLong(refused) = refused else { panic!("nothing takes no time") };
        cx.longest_s = None;
        let whole = Kind::run(&mut cx, &point, &BUDGET).expect("a measurement").row;
        cx.longest_s = Some(0.8 * refused.predicted_s);
        // Without a device, more layers may seem to take less time. A line through such times beats its floor.
        let cut =
            (0..50).find_map(|_| Kind::run(&mut cx, &point, &BUDGET).ok()).expect("two measurements").row;
        assert_eq!((whole.cut, cut.cut), (None, Some(Cut { measured: [1, 2], of: 4 })));
        assert_eq!((cut.pass.cost, cut.pass.params), (whole.pass.cost, whole.pass.params));
        assert_eq!((cut.pass.weight_bytes, cut.pass.samples_ns.len()), (whole.pass.weight_bytes, 3));
    }

    #[test]
    fn what_cannot_be_cut_is_skipped_with_the_reason() {
        let mut cx = context();
        cx.longest_s = Some(0.0);
        for (model, reason) in
            [("bench-18m@2", "; give more time"), ("bench-18m", "1 and 2 of 4 layers take too long")]
        {
            let error = Kind::run(&mut cx, &prompt(model), &BUDGET).expect_err("no time");
            assert!(matches!(&error, RunError::Skipped { reason: it } if it.contains(reason)), "{error}");
        }
    }

    #[test]
    fn a_point_has_one_sequence_unless_it_says_otherwise() {
        let text = r#"{"model":"m","format":"f16","work":"tg4","depth":0"#;
        let point = |rest: &str| serde_json::from_str::<Point>(&format!("{text}{rest}}}"));
        let one = point("").expect("a point");
        assert_eq!((one.sequences.get(), one.tokens(), one.is_default()), (1, 4, true));
        assert_eq!(serde_json::to_string(&one).expect("JSON"), format!("{text}}}"));
        let four = point(r#","sequences":4"#).expect("a point");
        assert_eq!((four.sequences.get(), four.tokens(), four.is_default()), (4, 16, false));
        assert!(point(r#","sequences":0"#).is_err());
    }

    #[test]
    fn work_is_written_as_it_is_read() {
        for text in ["pp128", "tg64", "pp512+tg128", "verify4"] {
            let work = Work::try_from(text.to_owned()).expect("known work");
            assert_eq!(String::from(work), text);
        }
        for wrong in ["verify0", "verify", "check4", "tg"] {
            assert!(Work::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
