//! INV-4: the slowdown by length, and the length at which the time of a forward pass begins to grow.

use super::pair::{cells, is_small, pair};
use crate::measures::pass::{Column, Pass, Point, Work};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::pass::Clock;
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-4",
    title: "Length of the prompt",
    question: "From which length on does a longer prompt take longer?",
    about: "The study's times are flat from 10 to 100 tokens, which ten times the work cannot be (X-INV-1). None of its four p \
            values passes the correction that it announces (X-INV-9). A forward pass over one token is a decode step here.",
    values: &[],
    conclude,
};

/// Time over that of one token beyond which a forward pass counts as grown.
const GROWN: f64 = 1.5;

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = cells(data, STUDY.id)?;
    let machine = data.machine();
    let over_one = |e: &Pass<'_>| {
        let one = Point { work: Work::generation(1), ..e.point.clone() };
        e.time_over(rows.find(|p| *p == one)?)
    };
    let printed = data.published().table("INV-T3").ok();
    let published = |e: &Pass<'_>| {
        let row = printed?.row_number("length", e.point.work.tokens() as f64)?;
        row.number(if is_small(&e.point) { "draft_ms" } else { "target_ms" })
            .map(|ms| number::si(ms * 1e-3, "s"))
    };
    let columns = [
        Column::text("model", |e| title(&e.point.model, &e.point.format)),
        Column::number("tokens", |e| Some(e.point.work.tokens().to_string())),
        Column::number("time", |e| Some(number::si(e.seconds()?.value, "s"))),
        Column::number("95 % interval", |e| e.seconds().map(|s| number::si_range(s.lo, s.hi, "s"))),
        Column::number("over one token", |e| Some(number::digits(over_one(e)?.value, 3))),
        Column::text("bound", |e| {
            machine.map_or_else(String::new, |m| e.row.pass.prediction(m).bound.to_string())
        }),
        Column::number("whole model, published", published),
        Column::number("slowdown of the small model", |e| Some(pair(&rows, e)?.shown(Clock::Complete))),
    ];
    let by_model = rows.clone().sorted(|e| (!is_small(&e.point), e.point.work.tokens()));
    chapter.table(by_model.table("Forward passes by their length, until completion.", &columns));
    let axes = (
        Axis { title: "tokens".to_owned(), unit: String::new(), log: true },
        Axis { title: "time over that of one token".to_owned(), unit: String::new(), log: true },
    );
    let point = |e: &Pass<'_>| Some((e.point.work.tokens() as f64, over_one(e)?));
    let figure = rows.lines("Time of a forward pass by its length.", axes, |p| p.model.clone(), point);
    // The study has no single token; its times do not depend on the length.
    let shortest = printed.and_then(|it| it.rows.first()?.number("draft_ms")).unwrap_or(f64::NAN);
    chapter.lines(figure.published(printed, "length", "draft_ms", 1.0 / shortest));
    for (model, group) in by_model.group(|p| p.model.clone()) {
        let lengths: Vec<(usize, Measured)> =
            group.iter().filter_map(|e| Some((e.point.work.tokens(), over_one(e)?))).collect();
        let longest = lengths.iter().rev().take_while(|it| it.1.lo > GROWN);
        if let Some((n, _)) = longest.last() {
            let bound = group.first().zip(machine).map(|(e, m)| e.row.pass.prediction(m).bound);
            let bound = bound.map_or_else(String::new, |it| format!(" The bound of one token is {it}."));
            chapter.text(format!(
                "{model}: from {n} tokens on, a forward pass takes more than {GROWN} times as long as one token, beyond the \
                 intervals.{bound} The published times do not grow from 10 to 100 tokens."
            ));
        }
    }
    Ok(chapter)
}
