//! Verdicts: whether measured intervals lie in required ranges.
//!
//! A published claim is tested by comparisons of a 95 % interval with a range. An interval that straddles an end of its
//! range leaves the comparison undecided. Performance targets use the same [`Range`] and [`Outcome`].

use crate::published::Prediction;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};

/// Result of a comparison, or of all comparisons of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every interval lies inside its range.
    Holds,
    /// An interval lies outside its range.
    DoesNotHold,
    /// No interval lies outside its range, but one straddles an end of it.
    Undecided,
    /// The measurement, device or model that the test needs is missing.
    CannotBeTested,
}

impl Outcome {
    /// The words printed in tables.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::Undecided => "undecided",
            Self::CannotBeTested => "cannot be tested here",
        }
    }
}

/// The range in which a measured value is required to lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Above a threshold.
    Above(f64),
    /// Below a threshold.
    Below(f64),
    /// Between two thresholds, both inclusive.
    Within(f64, f64),
    /// At or above a threshold.
    AtLeast(f64),
    /// At or below a threshold.
    AtMost(f64),
}

impl Range {
    /// Whether the whole interval `[lo, hi]` lies inside. An interval without an end decides nothing above or below.
    fn contains(self, lo: f64, hi: f64) -> bool {
        match self {
            Self::Above(t) => lo > t && hi < f64::INFINITY,
            Self::Below(t) => hi < t && lo > f64::NEG_INFINITY,
            Self::Within(low, high) => low <= lo && hi <= high,
            Self::AtLeast(t) => lo >= t,
            Self::AtMost(t) => hi <= t,
        }
    }

    /// Whether no value of the interval `[lo, hi]` lies inside.
    fn excludes(self, lo: f64, hi: f64) -> bool {
        match self {
            Self::Above(t) => hi <= t,
            Self::Below(t) => lo >= t,
            Self::Within(low, high) => hi < low || lo > high,
            Self::AtLeast(t) => hi < t,
            Self::AtMost(t) => lo > t,
        }
    }
}

/// How a value is printed, so that it stands in the unit of the published figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// As it is.
    #[default]
    Plain,
    /// A share of one, printed in per cent.
    Share,
    /// Per cent.
    Percent,
    /// A ratio, printed with ×.
    Times,
}

impl Unit {
    /// A number of this unit with its sign, to three digits.
    #[must_use]
    pub fn show(self, x: f64) -> String {
        self.number(x) + self.sign()
    }

    /// A value with its interval, which has the sign once: `38.6 % [30.3, 45.9]`.
    #[must_use]
    pub fn interval(self, Measured { value, lo, hi }: Measured) -> String {
        format!("{} [{}, {}]", self.show(value), self.number(lo), self.number(hi))
    }

    /// A range in words: `more than 10 %`.
    #[must_use]
    pub fn range(self, range: Range) -> String {
        // The shortest form: a threshold is exact, and 100 times 0.1 is not.
        let t = |x: f64| match self {
            Self::Share => format!("{} %", (1e6 * x).round() / 1e4),
            _ => format!("{x}{}", self.sign()),
        };
        match range {
            Range::Above(x) => format!("more than {}", t(x)),
            Range::Below(x) => format!("less than {}", t(x)),
            Range::Within(low, high) => format!("between {} and {}", t(low), t(high)),
            Range::AtLeast(x) => format!("at least {}", t(x)),
            Range::AtMost(x) => format!("at most {}", t(x)),
        }
    }

    fn number(self, x: f64) -> String {
        crate::report::number::digits(if self == Self::Share { 100.0 * x } else { x }, 3)
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Share | Self::Percent => " %",
            Self::Times => "×",
        }
    }
}

/// One measured value and its required range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the value, such as `bw(copy) / bw(matvec)`.
    pub what: String,
    /// The value with its 95 % interval.
    pub value: Measured,
    /// Number of visits, for a ratio the smaller of the two; `None` where unknown.
    pub n: Option<usize>,
    /// The required range.
    pub range: Range,
    /// How the value is printed.
    #[serde(default)]
    pub unit: Unit,
}

impl Comparison {
    /// Requires `what` to lie above `threshold`.
    #[must_use]
    pub fn above(what: impl Into<String>, value: Measured, threshold: f64) -> Self {
        Self { what: what.into(), value, n: None, range: Range::Above(threshold), unit: Unit::Plain }
    }

    /// Requires `what` to lie below `threshold`.
    #[must_use]
    pub fn below(what: impl Into<String>, value: Measured, threshold: f64) -> Self {
        Self { what: what.into(), value, n: None, range: Range::Below(threshold), unit: Unit::Plain }
    }

    /// Requires `what` to lie between `low` and `high`, both inclusive.
    #[must_use]
    pub fn within(what: impl Into<String>, value: Measured, low: f64, high: f64) -> Self {
        Self { what: what.into(), value, n: None, range: Range::Within(low, high), unit: Unit::Plain }
    }

    /// This comparison with its number of visits, which [`Comparison::sentence`] prints.
    #[must_use]
    pub fn of(mut self, n: usize) -> Self {
        self.n = Some(n);
        self
    }

    /// Holds where the whole interval lies inside the range, fails where the whole interval lies outside.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let Measured { lo, hi, value } = self.value;
        if !(lo <= value && value <= hi) {
            return Outcome::CannotBeTested;
        }
        if self.range.contains(lo, hi) {
            Outcome::Holds
        } else if self.range.excludes(lo, hi) {
            Outcome::DoesNotHold
        } else {
            Outcome::Undecided
        }
    }

    /// The comparison in one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let samples = match self.n {
            None => String::new(),
            Some(1) => ", 1 visit".to_owned(),
            Some(n) => format!(", {n} visits"),
        };
        let Self { what, value, range, unit, .. } = self;
        format!("{what} = {}{samples}; required {}", unit.interval(*value), unit.range(*range))
    }
}

/// A published claim and the result of its test on this device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Id of the claim.
    pub claim: String,
    /// Id of the experiment that decides it.
    pub study: String,
    /// The claim in one sentence.
    pub text: String,
    /// The figures as printed.
    pub published: String,
    /// Figures recomputed from the study's own data, where they differ from the printed ones.
    pub recomputed: Option<String>,
    /// The figures measured on this device.
    pub here: String,
    /// Further values, such as the truth beside a reproduced artefact.
    pub beside: Vec<String>,
    /// The result.
    pub outcome: Outcome,
    /// The result that was expected before the run, and why.
    pub prediction: Prediction,
    /// The expression tested.
    pub test: String,
    /// Intervals, thresholds and numbers of visits; the reason, where it cannot be tested.
    pub because: String,
    /// The compared values, which [`Verdict::sentence`] puts into words.
    #[serde(default)]
    pub comparisons: Vec<Comparison>,
    /// p value of a decision that Holm's correction turned into undecided.
    #[serde(default)]
    pub holm_p: Option<f64>,
    /// Reasons why this run is a poor test of the claim, one clause each.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// Ids of the cells behind it.
    pub evidence: Vec<String>,
}

impl Verdict {
    /// The reason for the outcome, and the values beside it.
    #[must_use]
    pub fn reason(&self) -> String {
        std::iter::once(&self.because).chain(&self.beside).map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

/// The outcome of several comparisons: holds if all hold, does not hold if one fails.
///
/// Without comparisons, or if one has no interval, it cannot be tested.
#[must_use]
pub fn all(outcomes: &[Outcome]) -> Outcome {
    [Outcome::DoesNotHold, Outcome::CannotBeTested, Outcome::Undecided]
        .into_iter()
        .find(|o| outcomes.contains(o))
        .unwrap_or(if outcomes.is_empty() { Outcome::CannotBeTested } else { Outcome::Holds })
}
