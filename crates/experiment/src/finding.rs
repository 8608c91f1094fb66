//! Findings: what a run says should be changed, with the predicted and the measured gain.

use crate::report::number;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};

/// One thing to change, and what it gains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What to change, such as `quantize to Q4_K_M`.
    pub action: String,
    /// Why it helps, in one sentence.
    pub because: String,
    /// Predicted tokens/s over today's, with the interval in which the measured gain is expected.
    pub predicted: Measured,
    /// The same, measured. `None` where it was not tried.
    pub measured: Option<Measured>,
    /// What it costs beside time, such as quality; `None` where nothing is known of it.
    pub cost: Option<String>,
    /// Why it was not tried, where it was not.
    pub untried: Option<String>,
    /// A command that does it or measures it.
    pub command: Option<String>,
    /// Ids of the cells behind it.
    pub evidence: Vec<String>,
}

/// How a finding fared when it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// It was not tried.
    NotTried,
    /// It is a gain, and lies in the predicted interval.
    AsPredicted,
    /// It is a larger gain than predicted.
    Better,
    /// It is a gain, but a smaller one than predicted.
    Worse,
    /// The interval of the measured gain reaches from a loss to a gain.
    Unclear,
    /// It is a loss.
    NoGain,
}

impl Trial {
    /// The words in tables.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotTried => "not tried",
            Self::AsPredicted => "as predicted",
            Self::Better => "more than predicted",
            Self::Worse => "less than predicted",
            Self::Unclear => "unclear: no gain within the noise",
            Self::NoGain => "did not come true: a loss",
        }
    }
}

impl Finding {
    /// How it fared when it was tried.
    #[must_use]
    pub fn trial(&self) -> Trial {
        let Some(measured) = self.measured else { return Trial::NotTried };
        if measured.hi < 1.0 {
            Trial::NoGain
        } else if measured.lo <= 1.0 {
            Trial::Unclear
        } else if measured.value > self.predicted.hi {
            Trial::Better
        } else if measured.value < self.predicted.lo {
            Trial::Worse
        } else {
            Trial::AsPredicted
        }
    }

    /// The gain that counts: measured, or else predicted.
    #[must_use]
    pub fn gain(&self) -> Measured {
        self.measured.unwrap_or(self.predicted)
    }
}

/// A gain in text, such as `1.42× [1.30, 1.55]`.
#[must_use]
pub fn times(gain: Measured) -> String {
    let digits = |x: f64| number::digits(x, 3);
    format!("{}× [{}, {}]", digits(gain.value), digits(gain.lo), digits(gain.hi))
}

#[cfg(test)]
mod tests {
    use super::{Finding, Trial, times};
    use ridgeline_roofline::Measured;

    fn finding(measured: Option<(f64, f64, f64)>) -> Finding {
        Finding {
            action: "quantize".to_owned(),
            because: String::new(),
            predicted: Measured { value: 1.4, lo: 1.2, hi: 1.6 },
            measured: measured.map(|(lo, value, hi)| Measured { value, lo, hi }),
            cost: None,
            untried: None,
            command: None,
            evidence: Vec::new(),
        }
    }

    #[test]
    fn a_trial_compares_the_measured_gain_with_the_predicted_interval() {
        let trial = |measured| finding(measured).trial();
        assert_eq!(trial(None), Trial::NotTried);
        assert_eq!(trial(Some((1.1, 1.3, 1.5))), Trial::AsPredicted);
        assert_eq!(trial(Some((1.6, 1.7, 1.8))), Trial::Better);
        assert_eq!(trial(Some((1.05, 1.1, 1.15))), Trial::Worse);
        assert_eq!(trial(Some((0.9, 1.3, 1.8))), Trial::Unclear);
        assert_eq!(trial(Some((0.7, 0.8, 0.9))), Trial::NoGain);
    }

    #[test]
    fn a_measured_gain_counts_before_a_predicted_one() {
        assert_eq!(times(finding(None).gain()), "1.40× [1.20, 1.60]");
        assert_eq!(times(finding(Some((1.0, 1.1, 1.2))).gain()), "1.10× [1.00, 1.20]");
    }
}
