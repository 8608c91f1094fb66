//! GAP-8: the part of a decode step that reading the weights does not explain, over size and bit width.

use super::decode::{Column, Pass, launches, name, sizes, step, weights};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::stats;
use ridgeline_experiment::study::{Chapter, Evidence, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-8",
    title: "Time that bytes do not explain",
    question: "Is the time beyond reading the weights constant, or does it follow the number of launches?",
    about: "The study finds 3.5 to 5.2 ms in no order and calls it constant compute. At 0.8 B the arithmetic takes 0.05 ms \
            (X-GAP-8). Here the remainder is compared with a constant and with launches, by Akaike's criterion.",
    values: &["rest_largest_over_smallest", "rest_follows_launches"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let Some(machine) = data.machine() else { return Ok(chapter) };
    let rows = sizes(data)?;
    let memory = machine.bandwidth.memory();
    let load = |e: &Pass<'_>| memory.map(|rate| weights(&e.row) / rate);
    let rest = |e: &Pass<'_>| step(e).map(|s| s.minus(load(e)));
    let columns = [
        Column::text("model", name),
        Column::number("weights per token", |e| Some(number::si(weights(&e.row), "B"))),
        Column::number("step", |e| Some(number::si(step(e)?.value, "s"))),
        Column::number("reading the weights", |e| Some(number::si(load(e).value, "s"))),
        Column::number("remainder", |e| Some(number::si(rest(e)?.value, "s"))),
        Column::number("launches", |e| Some(number::digits(launches(&e.row), 4))),
        Column::number("remainder per launch", |e| Some(number::si(rest(e)?.value / launches(&e.row), "s"))),
    ];
    chapter.table(
        rows.table("The step less the time of its weights at the measured memory bandwidth.", &columns),
    );
    let rests: Vec<(Measured, f64)> =
        rows.iter().filter_map(|e| Some((rest(e)?, launches(&e.row)))).collect();
    let evidence = rows.iter().fold(Evidence::default(), |all, e| all.and(&e.evidence()));
    chapter.value("rest_largest_over_smallest", "", spread(&rests), &evidence);
    chapter.counted("rest_follows_launches", "", preference(&rests).map(Measured::exact), &evidence);
    Ok(chapter)
}

/// The largest remainder over the smallest. Without an upper end, where the smallest may be zero.
pub(super) fn spread(rests: &[(Measured, f64)]) -> Option<Measured> {
    let by_value = |a: &&(Measured, f64), b: &&(Measured, f64)| a.0.value.total_cmp(&b.0.value);
    let (largest, smallest) = (rests.iter().max_by(by_value)?.0, rests.iter().min_by(by_value)?.0);
    if rests.len() < 2 || largest.value <= 0.0 {
        return None;
    }
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { f64::INFINITY };
    let (lo, hi) = ((largest.lo / smallest.hi).max(1.0), ratio(largest.hi, smallest.lo));
    Some(Measured { value: ratio(largest.value, smallest.value).clamp(lo, hi), lo, hi })
}

/// Akaike's criterion of a constant remainder less that of one proportional to launches.
pub(super) fn preference(rests: &[(Measured, f64)]) -> Option<f64> {
    let y: Vec<f64> = rests.iter().map(|it| it.0.value).collect();
    let aic = |column: Vec<f64>| stats::regress(&[column], &y).and_then(|fit| fit.aicc());
    Some(aic(vec![1.0; y.len()])? - aic(rests.iter().map(|it| it.1).collect())?)
}
