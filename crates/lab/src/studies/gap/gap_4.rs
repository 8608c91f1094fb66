//! GAP-4: the rate of decoding against the depth of the context.

use super::decode::{Column, Pass, generation, largest, name, rate, step};
use crate::measures::pass::Point;
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::study::{Chapter, Study};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-4",
    title: "Context length",
    question: "How much slower is decoding at a depth of 4096 tokens than at 64?",
    about: "The study loses 4.6 %, which lies inside the scatter of its own rows: 109.1 tokens/s at 547 tokens, 116.5 at 1059. \
            The 0.25 MB that it prints per token and layer are those of all layers (X-GAP-6).",
    values: &["loss_4096"],
    conclude,
};

/// The depths that the claim compares.
const SHORT: usize = 64;
const LONG: usize = 4096;

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = generation(data)?;
    let short = |e: &Pass<'_>| rows.find(|p| *p == Point { depth: SHORT, ..e.point.clone() });
    let relative = |e: &Pass<'_>| short(e)?.time_over(e);
    let swept = rows.clone().filter(|p| rows.find(|q| *q == Point { depth: SHORT, ..p.clone() }).is_some());
    let columns = [
        Column::text("model", name),
        Column::number("depth", |e| Some(e.point.depth.to_string())),
        Column::number("tokens/s", |e| Some(number::digits(rate(e)?.value, 4))),
        Column::number("time per token, ms", |e| Some(number::digits(step(e)?.value * 1e3, 4))),
        Column::number("rate over that at 64", |e| relative(e).map(|r| format!("{:.3}", r.value))),
        Column::number("95 % interval", |e| relative(e).map(|r| format!("{:.3} – {:.3}", r.lo, r.hi))),
    ];
    chapter.table(swept.table("Generation at a depth. A rate of 1 loses nothing.", &columns));
    let axes = (
        Axis { title: "tokens in the KV cache".to_owned(), unit: String::new(), log: true },
        Axis { title: "rate over that at 64 tokens".to_owned(), unit: String::new(), log: false },
    );
    let table = data.published().table("GAP-T4").ok();
    let first = table.and_then(|it| it.rows.first()?.number("tok_s")).unwrap_or(f64::NAN);
    let point = |e: &Pass<'_>| Some((e.point.depth as f64, relative(e)?));
    let figure = swept.lines("Loss of rate with depth.", axes, |p| title(&p.model, &p.format), point);
    // A model at the short depth alone loses nothing by definition.
    let mut figure = figure.published(table, "context", "tok_s", 1.0 / first);
    figure.lines.retain(|line| line.points.len() > 1);
    chapter.lines(figure);
    // A larger model may have the short depth alone.
    let deep = swept.filter(|p| p.depth == LONG);
    for entry in largest(&deep) {
        let Some(short) = short(entry) else { continue };
        let rate = short.time_over(entry);
        chapter.loss("loss_4096", name(entry), rate, &entry.evidence().and(&short.evidence()));
    }
    Ok(chapter)
}
