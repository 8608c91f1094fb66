//! The quantization sweep as a table, its Pareto fronts, and the fit of step time over weight bytes.

use super::{Point, Row};
use ridgeline_experiment::experiment::{Context, Entry};
use ridgeline_experiment::report::{Align, Axis, Line, Lines, Table, number};
use ridgeline_experiment::stats;
use ridgeline_roofline::Measured;

/// A row of the sweep.
type SweepRow<'a> = &'a Entry<'a, Point, Row>;

/// Whether `a` Pareto-dominates `b` in size, KL divergence and speed.
fn dominates(a: SweepRow<'_>, b: SweepRow<'_>) -> bool {
    let goods =
        |it: SweepRow<'_>| [-(it.row.weight_bytes as f64), -it.row.vs_reference.kl.value, it.row.rate()];
    dominates_in(goods(a), goods(b))
}

/// Pareto dominance where more is better: no element of `a` is less than in `b`, and one is greater.
fn dominates_in<const N: usize>(a: [f64; N], b: [f64; N]) -> bool {
    let pairs = || a.into_iter().zip(b);
    pairs().all(|(a, b)| a >= b) && pairs().any(|(a, b)| a > b)
}

/// Every row, the largest first.
pub(super) fn table(rows: &[SweepRow<'_>], context: &Context<'_>) -> Table {
    let numbers = [
        "bits/weight",
        "PPL ± SE",
        "Δ NLL ± SE",
        "Δ PPL, %",
        "mean KL, nats",
        "KL p99, nats",
        "top-1 agreement, %",
        "decode t/s",
        "% BW",
        "prefill t/s",
        "Pareto",
    ];
    let columns = [("quantization", Align::Left), ("weights", Align::Right)];
    let columns = columns.into_iter().chain(numbers.map(|title| (title, Align::Right)));
    let mut table = Table::new("Every row compared with half precision on the same tokens.", columns);
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|it| std::cmp::Reverse(it.row.weight_bytes));
    for entry in &sorted {
        let Row { weight_bytes, params, ppl, vs_reference, generate, .. } = &entry.row;
        let fraction = context.machine.map(|it| generate.prediction(it).mbu(generate.median_s()));
        let pareto_front = !rows.iter().any(|other| dominates(other, entry));
        table.push([
            entry.point.label(),
            number::bytes(*weight_bytes),
            format!("{:.2}", 8.0 * *weight_bytes as f64 / *params as f64),
            format!("{:.3} ± {:.2}", ppl.value, ppl.se),
            format!("{:+.5} ± {:.5}", vs_reference.delta_nll.value, vs_reference.delta_nll.se),
            format!("{:+.2}", 100.0 * (vs_reference.ppl_ratio.value - 1.0)),
            format!("{:.5}", vs_reference.kl.value),
            format!("{:.5}", vs_reference.kl_p99),
            format!("{:.1}", 100.0 * vs_reference.top1_agreement.value),
            number::digits(entry.row.rate(), 4),
            fraction.map_or_else(|| "–".to_owned(), number::percent),
            number::digits(entry.row.prompt_rate(), 4),
            if pareto_front { "●" } else { "" }.to_owned(),
        ]);
    }
    table
}

/// KL divergence against size and against speed: a point for each row, and a line through the Pareto front.
pub(super) fn pareto_fronts(rows: &[SweepRow<'_>]) -> Vec<Lines> {
    let size = |it: SweepRow<'_>| it.row.weight_bytes as f64;
    let rate = |it: SweepRow<'_>| it.row.rate();
    let axis = |title: &str, unit: &str, log| Axis { title: title.to_owned(), unit: unit.to_owned(), log };
    let drawn: Vec<_> = rows.iter().copied().filter(|it| it.row.vs_reference.kl.value > 0.0).collect();
    if drawn.len() < 2 {
        return Vec::new();
    }
    vec![
        pareto_front(&drawn, size, -1.0, axis("weights", "B", true), "Quality against size"),
        pareto_front(&drawn, rate, 1.0, axis("decode, tokens/s", "", false), "Quality against speed"),
    ]
}

/// One figure of [`pareto_fronts`]; `sign` is 1 where a larger x is better, and else −1.
fn pareto_front(
    rows: &[SweepRow<'_>],
    x: impl Fn(SweepRow<'_>) -> f64,
    sign: f64,
    axis: Axis,
    what: &str,
) -> Lines {
    let goods = |it: SweepRow<'_>| [sign * x(it), -it.row.vs_reference.kl.value];
    let at = |it: SweepRow<'_>| (x(it), it.row.vs_reference.kl.interval());
    let line = |it: &SweepRow<'_>| Line { label: it.point.label(), points: vec![at(it)], predicted: false };
    let mut lines: Vec<Line> = rows.iter().map(line).collect();
    let on_it = |it: &&SweepRow<'_>| !rows.iter().any(|other| dominates_in(goods(other), goods(it)));
    let mut points: Vec<(f64, Measured)> = rows.iter().filter(on_it).map(|it| at(it)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    lines.push(Line { label: "Pareto front".to_owned(), points, predicted: false });
    Lines {
        caption: format!("{what}: mean KL divergence from half precision; lower is better."),
        x: axis,
        y: Axis { title: "mean KL divergence".to_owned(), unit: "nat".to_owned(), log: true },
        lines,
    }
}

/// Least-squares fit T = T₀ + bytes / bandwidth of the step times, in words and as a figure; `None` below three rows.
pub(super) fn line(rows: &[SweepRow<'_>]) -> Option<(String, Lines)> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|it| it.row.weight_bytes);
    let points: Vec<(f64, Measured)> = sorted
        .iter()
        .filter_map(|it| Some((it.row.weight_bytes as f64, stats::median_interval(&it.row.step_seconds())?)))
        .collect();
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().map(|it| (it.0, it.1.value)).unzip();
    let fit = stats::least_squares(&x, &y)?;
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
        Lines { caption, x: axis("bytes of the weights", "B"), y: axis("time per decode step", "s"), lines },
    ))
}
