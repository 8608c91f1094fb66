//! The study of quantization and speculation on Apple Silicon (AG).

mod pareto;
mod step_time;
mod sweep;

use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_roofline::Measured;

ridgeline_experiment::studies! { ag_1, ag_2, ag_3, ag_5, ag_6, ag_7, ag_8, ag_11, ag_13 }

/// Ratios of times that have to be 1, because bytes and kernels are the same: what, and the ratio.
pub(crate) fn controls(data: &Data<'_>) -> Result<Vec<(String, Measured)>, Error> {
    let chapter = (ag_3::STUDY.conclude)(data)?;
    Ok(chapter.values.into_iter().map(|it| (format!("{} (AG-3)", it.what), it.value)).collect())
}

/// How a row stands to the Pareto front of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// On the front.
    Front,
    /// On the front or off it, because differences lie within intervals.
    Tied,
    /// Another row is better beyond the intervals.
    Dominated,
}

impl Standing {
    /// The mark in tables.
    const fn mark(self) -> &'static str {
        match self {
            Self::Front => "● front",
            Self::Tied => "○ tied",
            Self::Dominated => "–",
        }
    }
}

/// The standing of each row by goals of which more is better.
///
/// A row dominates another by its values where none is less and one is greater. It dominates beyond the intervals where no
/// interval lies below the other's and one lies above. A row that is dominated in one of the two senses alone is tied.
fn standings<const N: usize>(rows: &[[Measured; N]]) -> Vec<Standing> {
    let pairs =
        |a: &[Measured; N], b: &[Measured; N]| a.iter().copied().zip(b.iter().copied()).collect::<Vec<_>>();
    let by_value = |a, b| {
        let pairs = pairs(a, b);
        pairs.iter().all(|(a, b)| a.value >= b.value) && pairs.iter().any(|(a, b)| a.value > b.value)
    };
    let beyond = |a, b| {
        let pairs = pairs(a, b);
        pairs.iter().all(|(a, b)| a.hi >= b.lo) && pairs.iter().any(|(a, b)| a.lo > b.hi)
    };
    let standing =
        |row| match (rows.iter().any(|it| by_value(it, row)), rows.iter().any(|it| beyond(it, row))) {
            (false, false) => Standing::Front,
            (true, true) => Standing::Dominated,
            _ => Standing::Tied,
        };
    rows.iter().map(standing).collect()
}

#[cfg(test)]
mod tests {
    use super::{Measured, Standing, standings};

    #[test]
    fn differences_within_intervals_are_ties() {
        let goal = |value: f64, half: f64| Measured { value, lo: value - half, hi: value + half };
        // Small size and low divergence as negative goals: the second is worse in both, the third smaller and worse.
        let apart = [
            [goal(-3.0, 0.0), goal(-1.0, 0.1)],
            [goal(-4.0, 0.0), goal(-2.0, 0.1)],
            [goal(-2.0, 0.0), goal(-3.0, 0.1)],
        ];
        assert_eq!(standings(&apart), [Standing::Front, Standing::Dominated, Standing::Front]);
        // The second is faster by less than the intervals, and has the larger divergence.
        let close = [[goal(100.0, 5.0), goal(-1.0, 0.1)], [goal(102.0, 5.0), goal(-2.0, 0.1)]];
        assert_eq!(standings(&close), [Standing::Front, Standing::Tied]);
        let equal = [[goal(1.0, 0.1), goal(1.0, 0.1)], [goal(0.99, 0.1), goal(0.99, 0.1)]];
        assert_eq!(standings(&equal), [Standing::Front, Standing::Tied]);
    }
}
