//! AG-11: whether the ratio of the speeds of draft and target decides if speculation pays.

use crate::measures::speculation;
use crate::studies::speculated::{
    Column, Run, draft_over_target, gain, setting, speedup, verification_over_token,
};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Evidence, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-11",
    title: "Viability by ratio of speeds",
    question: "Does speculation pay exactly where the draft is at least 2.5 times as fast as the target?",
    about: "The study's own row with a ratio of 2.54 loses 2.8 % (X-AG-3). With k drafted tokens, acceptance rate α and a \
            verification that takes v tokens, speculation pays above the ratio k / (1 + αk − v). A run decides where its speedup \
            and its ratio are clearly on one side.",
    values: &["runs_decided_by_the_ratio", "runs_decided_by_the_formula"],
    conclude,
};

/// The study's ratio.
const RATIO: f64 = 2.5;

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<speculation::Kind>()?;
    // Sampled text has a baseline of other tokens.
    let rows = rows.filter(|p| p.temperature == 0.0);
    let mut columns = setting();
    columns.extend([
        Column::number("speed of draft / target", |e| Some(number::digits(ratio(e)?.value, 3))),
        Column::number("break-even ratio", |e| Some(number::digits(break_even(e)?, 3))),
    ]);
    columns.extend(gain());
    chapter.table(rows.table(
        "Every pair at temperature 0. Without a break-even ratio, no draft is fast enough.",
        &columns,
    ));
    let evidence = rows.iter().fold(Evidence::default(), |all, e| all.and(&e.evidence()));
    let sides: Vec<(bool, Measured)> = rows.iter().filter_map(|e| Some((gains(e)?, ratio(e)?))).collect();
    let is_high = |it: &Measured| side(*it, RATIO);
    let decided: Vec<bool> =
        sides.iter().filter_map(|(gains, ratio)| Some(*gains == is_high(ratio)?)).collect();
    // Losses below the ratio say nothing about what happens above it.
    let tests = sides.iter().any(|(gains, ratio)| *gains || is_high(ratio) == Some(true));
    let by_ratio = share(&decided).filter(|_| tests);
    chapter.counted("runs_decided_by_the_ratio", "all pairs", by_ratio.map(Measured::exact), &evidence);
    let formula = |e: &Run<'_>| {
        Some(gains(e)? == break_even(e).is_some_and(|it| ratio(e).is_some_and(|r| r.value > it)))
    };
    let decided: Vec<bool> = rows.iter().filter_map(formula).collect();
    let by_formula = share(&decided).map(Measured::exact);
    chapter.counted("runs_decided_by_the_formula", "all pairs", by_formula, &evidence);
    Ok(chapter)
}

/// Speed of the draft over that of the target.
fn ratio(run: &Run<'_>) -> Option<Measured> {
    draft_over_target(run).map(|it| it.map(f64::recip))
}

/// The ratio above which speculation pays; `None` where none is enough.
fn break_even(run: &Run<'_>) -> Option<f64> {
    let stats = &run.row.stats;
    let k = stats.drafted as f64 / stats.rounds.max(1) as f64;
    let saved = stats.tau()? - verification_over_token(run)?.value;
    (saved > 0.0).then(|| k / saved)
}

/// Whether speculation clearly gains or clearly loses.
fn gains(run: &Run<'_>) -> Option<bool> {
    side(speedup(run)?, 1.0)
}

/// Whether an interval is above a threshold; `None` where it straddles it.
fn side(value: Measured, threshold: f64) -> Option<bool> {
    match (value.lo >= threshold, value.hi < threshold) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn share(all: &[bool]) -> Option<f64> {
    let right = all.iter().filter(|it| **it).count();
    (!all.is_empty()).then(|| right as f64 / all.len() as f64)
}
