//! INV-1: the slowdown of a small model against a large one by three clocks, and a grid of shapes with a true inversion.

use super::grid;
use super::pair::{Pair, cells, is_small, length, pairs, seconds};
use crate::measures::pass::{Column, Pass};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Table as Printed;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::pass::Clock;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-1",
    title: "Inversion by three clocks",
    question: "Is the smaller model slower, and by which clock?",
    about: "Reading 4.4 GB in the printed 0.59 ms needs 27 times the bandwidth of the study's device (X-INV-1). Its ratio of 1.22 \
            is about that of the layers, 30 to 24: a cost of the host for each layer (X-INV-2). The study's own speculation \
            table has the small model 3.6 times as fast (X-INV-3). Here both models are cut to a sixth of their layers, which \
            keeps that ratio. The head then weighs more, by which the small model appears slower than it is.",
    values: &["slowdown_complete", "slowdown_device", "slowdown_encode"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = cells(data, STUDY.id)?;
    let printed = data.published().table("INV-T3").ok();
    let pairs: Vec<Pair<'_, '_>> = pairs(&rows).collect();
    chapter.table(slowdowns(&pairs, printed));
    let machine = data.machine();
    let by =
        |clock: Clock| move |e: &Pass<'_>| Some(number::si(e.over_visits(|r| seconds(r, clock))?.value, "s"));
    let floor = |e: &Pass<'_>| Some(number::si(e.row.pass.prediction(machine?).floor_s, "s"));
    let columns = [
        Column::text("forward pass", |e| length(&e.point)),
        Column::text("model", |e| title(&e.point.model, &e.point.format)),
        Column::number("whole model, published", |e| published(e, printed)),
        Column::number("encoding alone", by(Clock::Encode)),
        Column::number("until completion", by(Clock::Complete)),
        Column::number("device timestamps", by(Clock::Device)),
        Column::number("least time by bytes and FLOP", floor),
    ];
    let caption = "Time of one forward pass by three clocks. A time below the least time is not that of the computation.";
    chapter.table(rows.table(caption, &columns));
    for pair in &pairs {
        pair.add(&mut chapter, "slowdown_complete", Clock::Complete);
        pair.add(&mut chapter, "slowdown_device", Clock::Device);
        pair.add(&mut chapter, "slowdown_encode", Clock::Encode);
    }
    grid::grid(data, STUDY.id, &mut chapter)?;
    Ok(chapter)
}

/// The slowdown of each pair by three clocks, beside the published one.
fn slowdowns(pairs: &[Pair<'_, '_>], printed: Option<&Printed>) -> Table {
    let caption = "Slowdown of the small model, with 95 % intervals: its time over that of the large one, less one. A \
                   negative slowdown is a faster small model.";
    let titles = ["forward pass", "published", "encoding alone", "until completion", "device timestamps"];
    let mut table = Table::new(caption, titles.map(|title| (title, Align::Left)));
    for pair in pairs {
        let row = printed.and_then(|it| it.row_number("length", pair.small.point.work.tokens() as f64));
        let slowdown = row.and_then(|row| row.number("slowdown_pct"));
        let [encode, complete, device] =
            [Clock::Encode, Clock::Complete, Clock::Device].map(|clock| pair.shown(clock));
        let published = slowdown.map_or_else(|| "–".to_owned(), |it| format!("{it:.1} %"));
        table.push([pair.name(), published, encode, complete, device]);
    }
    table
}

/// The published time of a model at a length.
fn published(entry: &Pass<'_>, printed: Option<&Printed>) -> Option<String> {
    let row = printed?.row_number("length", entry.point.work.tokens() as f64)?;
    let column = if is_small(&entry.point) { "draft_ms" } else { "target_ms" };
    Some(number::si(row.number(column)? * 1e-3, "s"))
}
