//! What becomes of a published claim when it is tested here.
//!
//! A claim is put as comparisons of an interval with a threshold. An interval that straddles its threshold
//! decides nothing, and saying so is a result.

use crate::published::Claim;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};

/// How a claim fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every comparison holds: its whole interval lies where it has to.
    Holds,
    /// A comparison fails: none of its interval lies where it has to.
    DoesNotHold,
    /// No comparison fails, but an interval straddles its threshold.
    Undecided,
    /// What the claim needs is not here.
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

/// Samples below which an interval of a median is their whole range; see [`crate::stats::median_interval_rank`].
const FEWEST: usize = 6;

/// Where a measured value has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Above a threshold.
    Above(f64),
    /// Below a threshold.
    Below(f64),
    /// Between two thresholds, which count as inside.
    Within(f64, f64),
    /// At or above a threshold.
    AtLeast(f64),
    /// At or below a threshold.
    AtMost(f64),
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Above(t) => write!(f, "> {t}"),
            Self::Below(t) => write!(f, "< {t}"),
            Self::Within(low, high) => write!(f, "in [{low}, {high}]"),
            Self::AtLeast(t) => write!(f, "at least {t}"),
            Self::AtMost(t) => write!(f, "at most {t}"),
        }
    }
}

impl Range {
    /// Whether the whole interval `[lo, hi]` lies inside.
    fn contains(self, lo: f64, hi: f64) -> bool {
        match self {
            Self::Above(t) => lo > t,
            Self::Below(t) => hi < t,
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

/// One measured value and where it has to lie for the claim to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the value is, such as `bw(copy) / bw(matvec)`.
    pub what: String,
    /// The value with its interval: 95 %, or the whole range of fewer than six samples.
    pub value: Measured,
    /// Samples behind the interval, of the side that has fewest; `None` where that is not known.
    pub n: Option<usize>,
    /// Where it has to lie.
    pub range: Range,
}

impl Comparison {
    /// `what` has to lie above `threshold`.
    #[must_use]
    pub fn above(what: impl Into<String>, value: Measured, threshold: f64) -> Self {
        Self { what: what.into(), value, n: None, range: Range::Above(threshold) }
    }

    /// `what` has to lie below `threshold`.
    #[must_use]
    pub fn below(what: impl Into<String>, value: Measured, threshold: f64) -> Self {
        Self { what: what.into(), value, n: None, range: Range::Below(threshold) }
    }

    /// `what` has to lie between `low` and `high`.
    #[must_use]
    pub fn within(what: impl Into<String>, value: Measured, low: f64, high: f64) -> Self {
        Self { what: what.into(), value, n: None, range: Range::Within(low, high) }
    }

    /// The same with the number of samples behind the interval, which goes into the statistics.
    #[must_use]
    pub fn of(mut self, n: usize) -> Self {
        self.n = Some(n);
        self
    }

    /// Holds where the whole interval lies in the range, fails where none of it does.
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
    fn sentence(&self) -> String {
        let Measured { value, lo, hi } = self.value;
        let samples = match self.n {
            None => String::new(),
            Some(n) if n < FEWEST => format!(" (n = {n}, their whole range)"),
            Some(n) => format!(" (n = {n})"),
        };
        format!("{} = {value:.3} [{lo:.3}, {hi:.3}]{samples}, has to be {}", self.what, self.range)
    }
}

/// A claim, what was printed for it, and what was found here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Id of the claim.
    pub claim: String,
    /// The claim in one sentence.
    pub text: String,
    /// The figures as printed.
    pub published: String,
    /// What the study's own numbers give, where that differs from what it prints.
    pub recomputed: Option<String>,
    /// The figures measured here.
    pub here: String,
    /// How it fared.
    pub outcome: Outcome,
    /// The expression tested.
    pub test: String,
    /// Intervals, thresholds and sample sizes; the reason, where it cannot be tested.
    pub statistics: String,
}

impl Verdict {
    /// Decides a claim: it holds where all comparisons do, and does not where one fails.
    ///
    /// Without comparisons, or where one has no interval, it cannot be tested.
    #[must_use]
    pub fn decide(claim: &Claim, here: impl Into<String>, comparisons: &[Comparison]) -> Self {
        let outcomes: Vec<Outcome> = comparisons.iter().map(Comparison::outcome).collect();
        let outcome = [Outcome::DoesNotHold, Outcome::CannotBeTested, Outcome::Undecided]
            .into_iter()
            .find(|o| outcomes.contains(o))
            .unwrap_or(if outcomes.is_empty() { Outcome::CannotBeTested } else { Outcome::Holds });
        let statistics = comparisons.iter().map(Comparison::sentence).collect::<Vec<_>>().join("; ");
        Self::new(claim, here.into(), outcome, statistics)
    }

    /// A claim that cannot be tested here, and why.
    #[must_use]
    pub fn cannot(claim: &Claim, reason: impl Into<String>) -> Self {
        Self::new(claim, "–".to_owned(), Outcome::CannotBeTested, reason.into())
    }

    /// The same with what the study's own numbers give.
    #[must_use]
    pub fn recomputed(mut self, figures: impl Into<String>) -> Self {
        self.recomputed = Some(figures.into());
        self
    }

    fn new(claim: &Claim, here: String, outcome: Outcome, statistics: String) -> Self {
        Self {
            claim: claim.id.clone(),
            text: claim.text.clone(),
            published: claim.published.clone(),
            recomputed: None,
            here,
            outcome,
            test: claim.test.clone(),
            statistics,
        }
    }
}
