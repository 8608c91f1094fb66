//! GAP-10: the time of a forward pass over n tokens with logits of each, over that of one token.
//!
//! The ratio is the cost of verifying drafted tokens; it shows at which batch size extra tokens stop being free.

use crate::measures::pass::{self, Column, Pass, Row, Work};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::{Measured, Precision};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-10",
    title: "Batch size",
    question: "Up to which batch size are extra tokens in one forward pass free?",
    about: "The study expects free tokens below its ridge over its intensity, about 11. Its own table has 1.47 times the time \
            for 4 tokens and 2.6 times for 8 (X-GAP-11).",
    values: &["t4_over_t1", "t5_over_t1", "ridge_batch"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<pass::Kind>()?.filter(|p| matches!(p.work, Work::Verify(_)) && p.is_default());
    let rows = rows.sorted(|e| (e.point.model.clone(), e.point.format.clone(), e.point.work.tokens()));
    let over_one = |e: &Pass<'_>| e.time_over(one(&rows, &e.point)?);
    let axes = (
        Axis { title: "batch size n, tokens".to_owned(), unit: String::new(), log: true },
        Axis { title: "T(n) / T(1)".to_owned(), unit: String::new(), log: true },
    );
    let caption = "Time of a forward pass over n tokens, relative to one token. A ratio of 1 means that extra tokens are free.";
    let table = data.published().table("GAP-T10b").ok();
    let first = table.and_then(|it| it.row_number("batch", 1.0)?.number("time_ms")).unwrap_or(f64::NAN);
    let point = |e: &Pass<'_>| Some((e.point.work.tokens() as f64, over_one(e)?));
    chapter.lines(rows.lines(caption, axes, name, point).published(table, "batch", "time_ms", 1.0 / first));
    let predicted = |e: &Pass<'_>| Some((e.row.pass.prediction(data.machine()?), e.seconds()?.value));
    let columns = [
        Column::text("model", |e| name(&e.point)),
        Column::number("batch size", |e| Some(e.point.work.tokens().to_string())),
        Column::number("time, ms", |e| Some(number::digits(e.seconds()?.value * 1e3, 4))),
        Column::number("T(n)/T(1)", |e| over_one(e).map(|r| format!("{:.2}", r.value))),
        Column::number("95 % interval", |e| over_one(e).map(|r| format!("{:.2} – {:.2}", r.lo, r.hi))),
        Column::number("tokens/s", |e| {
            Some(number::digits(e.point.work.tokens() as f64 / e.seconds()?.value, 4))
        }),
        Column::number("% of roof", |e| predicted(e).map(|(p, s)| number::percent(p.roof_fraction(s)))),
        Column::number("bound", |e| predicted(e).map(|(p, _)| p.bound.to_string())),
    ];
    chapter.table(rows.table("", &columns));
    // The claims are about models whose weights outweigh the launches: the largest here.
    let largest = rows.iter().map(|e| e.row.pass.weight_bytes).max();
    for entry in rows.iter().filter(|e| Some(e.row.pass.weight_bytes) == largest) {
        let Some(one) = one(&rows, &entry.point) else { continue };
        let (what, evidence) = (name(&entry.point), entry.evidence().and(&one.evidence()));
        match entry.point.work {
            Work::Verify(1) => chapter.counted("ridge_batch", what, ridge_batch(data, entry), &evidence),
            Work::Verify(4) => chapter.value("t4_over_t1", what, over_one(entry), &evidence),
            Work::Verify(5) => chapter.value("t5_over_t1", what, over_one(entry), &evidence),
            _ => {}
        }
    }
    Ok(chapter)
}

fn name(point: &pass::Point) -> String {
    format!("{} @ d{}", title(&point.model, &point.format), point.depth)
}

/// The cell of one token of the same model at the same depth.
fn one<'r, 'a>(rows: &'r Rows<'a, pass::Point, Row>, point: &pass::Point) -> Option<&'r Pass<'a>> {
    rows.find(|p| *p == pass::Point { work: Work::Verify(1), ..point.clone() })
}

/// The study's formula for the largest free batch, with this device's ceilings: ridge over intensity of one token.
fn ridge_batch(data: &Data<'_>, one: &Pass<'_>) -> Option<Measured> {
    let machine = data.machine()?;
    let ridge = machine.ridge(one.row.pass.regime.working_set, Precision::Fastest);
    Some(Measured::exact(ridge / one.row.pass.cost.intensity()?))
}
