//! A verdict in one plain sentence, and whether the run is a fair test of the claim.

use crate::report::number;
use crate::verdict::{Comparison, Outcome, Verdict};

impl Verdict {
    /// The reason of the outcome: one sentence without its first word, which is *because*.
    #[must_use]
    pub fn sentence(&self) -> String {
        let decides = |outcome: Outcome| self.comparisons.iter().find(|it| it.outcome() == outcome);
        match self.outcome {
            Outcome::CannotBeTested => format!("{}.", self.because),
            Outcome::DoesNotHold => decides(Outcome::DoesNotHold).map_or_else(
                || format!("{}.", self.because),
                |it| format!("{}, where the claim requires {}.", measured(it), it.unit.range(it.range)),
            ),
            Outcome::Undecided => match (decides(Outcome::Undecided), self.holm_p) {
                (Some(it), _) => {
                    format!("{}, and the claim requires {}.", across(it), it.unit.range(it.range))
                }
                (None, Some(p)) => format!(
                    "one value is not enough evidence among the claims of its study: p = {} after Holm's correction.",
                    number::digits(p, 2)
                ),
                (None, None) => format!("{}.", self.because),
            },
            Outcome::Holds => match self.comparisons.as_slice() {
                [] => format!("{}.", self.because),
                [it] => format!("{}, as the claim requires: {}.", measured(it), it.unit.range(it.range)),
                [it, others @ ..] => format!(
                    "{}, as the claim requires ({}), and {} more {} as well.",
                    measured(it),
                    it.unit.range(it.range),
                    others.len(),
                    if others.len() == 1 { "value fits" } else { "values fit" }
                ),
            },
        }
    }

    /// The value that decides, with its interval, for a table; the number of the others after it.
    #[must_use]
    pub fn short(&self) -> String {
        let decides = self.comparisons.iter().find(|it| it.outcome() == self.outcome);
        let Some(it) = decides.or(self.comparisons.first()) else { return "–".to_owned() };
        let more = match self.comparisons.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        format!("{}{more}", it.unit.interval(it.value))
    }

    /// `contradicted` where the claim does not hold in a fair test, and `poor test` where the run is none.
    #[must_use]
    pub fn standing(&self) -> Option<&'static str> {
        match (self.outcome, self.caveats.is_empty()) {
            (Outcome::CannotBeTested, _) | (Outcome::Holds | Outcome::Undecided, true) => None,
            (Outcome::DoesNotHold, true) => Some("contradicted"),
            (_, false) => Some("poor test"),
        }
    }
}

/// A value as a clause: `copy over matvec f32 is 0.243 [0.239, 0.263]`.
fn measured(it: &Comparison) -> String {
    format!("{} is {}", plain(&it.what), it.unit.interval(it.value))
}

fn across(it: &Comparison) -> String {
    let (lo, hi) = (it.unit.show(it.value.lo), it.unit.show(it.value.hi));
    format!("the interval of {} reaches from {lo} to {hi}", plain(&it.what))
}

/// The name of a value in words. What was measured stands in parentheses and keeps its underscores.
pub(crate) fn plain(what: &str) -> String {
    match what.split_once(" (") {
        Some((name, subject)) => format!("{} ({subject}", name.replace('_', " ")),
        None => what.replace('_', " "),
    }
}
