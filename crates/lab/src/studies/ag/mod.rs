//! The study of quantization and speculation on Apple Silicon (AG).

mod step_time;
mod sweep;

use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_roofline::Measured;

ridgeline_experiment::studies! { ag_1, ag_2, ag_3, ag_6 }

/// Ratios of times that have to be 1, because bytes and kernels are the same: what, and the ratio.
pub(crate) fn controls(data: &Data<'_>) -> Result<Vec<(String, Measured)>, Error> {
    let chapter = (ag_3::STUDY.conclude)(data)?;
    Ok(chapter.values.into_iter().map(|it| (format!("{} (AG-3)", it.what), it.value)).collect())
}

/// Pareto dominance where more is better: no element of `a` is less than in `b`, and one is greater.
fn dominates<const N: usize>(a: [f64; N], b: [f64; N]) -> bool {
    let pairs = || a.into_iter().zip(b);
    pairs().all(|(a, b)| a >= b) && pairs().any(|(a, b)| a > b)
}
