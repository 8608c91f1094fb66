//! The time of a decode step against the bytes of the weights, over the rows of the quantization sweep.

use super::sweep::SweepRow;
use ridgeline_experiment::report::{Axis, Line, Lines, number};
use ridgeline_experiment::stats;
use ridgeline_roofline::Measured;

/// Share of the variance below which a fit explains nothing.
const LEAST_R2: f64 = 0.5;

/// Least-squares fit T = T₀ + bytes / bandwidth of the step times, in words and as a figure; `None` below three rows.
///
/// Below [`LEAST_R2`] bytes do not explain the time, and no line is drawn.
pub(super) fn line(rows: &[&SweepRow<'_>]) -> Option<(String, Option<Lines>)> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|it| it.quality.row.weight_bytes);
    let points: Vec<(f64, Measured)> =
        sorted.iter().filter_map(|it| Some((it.bytes(), it.step()?))).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().map(|it| (it.0, it.1.value)).unzip();
    let fit = stats::least_squares(&x, &y)?;
    if fit.r2 < LEAST_R2 {
        let text = format!(
            "The bytes of the weights do not explain the time of a decode step here: a fit T = T₀ + bytes / bandwidth over {} \
             rows has R² = {:.3}.",
            fit.n, fit.r2
        );
        return Some((text, None));
    }
    let slope =
        Measured { value: fit.slope, lo: fit.slope - 2.0 * fit.se_slope, hi: fit.slope + 2.0 * fit.se_slope };
    let bandwidth = if slope.lo > 0.0 {
        let range = number::si_range(1.0 / slope.hi, 1.0 / slope.lo, "B/s");
        format!("the slope is a bandwidth of {} ({range})", number::si(1.0 / slope.value, "B/s"))
    } else {
        "the slope does not differ from zero, so that bytes do not explain the time on this device".to_owned()
    };
    let largest = x.iter().copied().fold(0.0, f64::max);
    let text = format!(
        "Time of a decode step against the bytes of the weights, T = T₀ + bytes / bandwidth, fitted by least squares to {} \
         rows: T₀ = {} ± {} (standard error), which is {} of a step of the largest; {bandwidth}; R² = {:.3}.",
        fit.n,
        number::si(fit.intercept, "s"),
        number::si(fit.se_intercept, "s"),
        number::percent(fit.intercept / fit.at(largest)),
        fit.r2
    );
    let ends = [0.0, largest].map(|x| (x, Measured::exact(fit.at(x))));
    let lines = vec![
        Line { label: "measured".to_owned(), points, predicted: false },
        Line { label: "T₀ + bytes / bandwidth".to_owned(), points: ends.to_vec(), predicted: true },
    ];
    let axis = |title: &str, unit: &str| Axis { title: title.to_owned(), unit: unit.to_owned(), log: false };
    let caption = "Time of one decode step by bytes of the weights.".to_owned();
    Some((
        text,
        Some(Lines {
            caption,
            x: axis("bytes of the weights", "B"),
            y: axis("time per decode step", "s"),
            lines,
        }),
    ))
}
