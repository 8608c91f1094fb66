//! Forward passes: prompts, generation and verification at a depth, as llama-bench measures them, or of several sequences
//! together, as llama-batched-bench does.

use super::load;
use ridgeline_experiment::data::Entry;
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
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
        let loaded = load(cx, &point.model, &point.format)?;
        let options = point.options();
        let mut bench = Bench::new(cx, &loaded, point.depth, point.work.tokens(), options)?;
        fits(cx, &mut bench, point.work)?;
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
        let row = Row { pass, test, backend, adapter, cache, batch };
        Ok(Measurement { row, samples_ns, check: None, model: Some(loaded.id.clone()) })
    }
}

/// Repetitions of the shortest visit, warm-up included.
const LEAST_REPETITIONS: f64 = 3.0;

/// Skips a cell whose visit takes longer than the run allows, by the ceilings of the device.
///
/// The prediction is the same for short and full visits, so that a cell is not skipped halfway through a run.
fn fits(cx: &MeasureContext, bench: &mut Bench, work: Work) -> Result<(), RunError> {
    let (Some(longest_s), Some(machine)) = (cx.longest_s, &cx.machine) else { return Ok(()) };
    let (test, rows) = match work {
        Work::Test(test) => (test, Rows::Last),
        Work::Verify(n) => (Test { prompt: n, generate: 0 }, Rows::All),
    };
    let predicted_s = LEAST_REPETITIONS * bench.roof_s(test, rows, machine)?;
    if predicted_s <= longest_s {
        return Ok(());
    }
    Err(RunError::skip(format!(
        "a visit is predicted to take at least {predicted_s:.0} s, more than the {longest_s:.0} s of a tenth of --max-time; \
         give more time, or fewer layers as in mistral-7b@4"
    )))
}

#[cfg(test)]
mod tests {
    use super::{Point, Work};

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
