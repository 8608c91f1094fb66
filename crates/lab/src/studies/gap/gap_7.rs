//! GAP-7: bandwidth efficiency of decoding against the size of the model.

use super::decode::{Column, Pass, bandwidth, name, rate, sizes, weights};
use crate::measures::pass::Row;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::study::{Chapter, Study};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-7",
    title: "Model size",
    question: "Does bandwidth efficiency grow with the size of the model?",
    about: "The study divides by the bandwidth of the data sheet. Its row of Mistral fits 4.14 GB of weights, not the 4.08 that \
            it prints (X-GAP-7).",
    values: &["efficiency_larger_over_smaller"],
    conclude,
};

fn delivered(row: &Row) -> Option<f64> {
    bandwidth(row, weights(row))
}

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = sizes(data)?;
    let memory = data.machine().map(|m| m.bandwidth.memory().value);
    let share = |e: &Pass<'_>| Some(e.over_visits(delivered)?.map(|rate| rate / memory.unwrap_or(f64::NAN)));
    let columns = [
        Column::text("model", name),
        Column::number("weights per token", |e| Some(number::si(weights(&e.row), "B"))),
        Column::number("tokens/s", |e| Some(number::digits(rate(e)?.value, 4))),
        Column::number("bandwidth", |e| Some(number::si(e.over_visits(delivered)?.value, "B/s"))),
        Column::number("% BW", |e| share(e).filter(|_| memory.is_some()).map(|s| number::percent(s.value))),
    ];
    chapter.table(rows.table(
        "Generation by models of rising size; % BW is the share of the measured bandwidth.",
        &columns,
    ));
    if memory.is_some() {
        let axes = (
            Axis { title: "weights read per token".to_owned(), unit: "B".to_owned(), log: true },
            Axis { title: "share of the memory bandwidth".to_owned(), unit: String::new(), log: false },
        );
        let point = |e: &Pass<'_>| Some((weights(&e.row), share(e)?));
        chapter.lines(rows.lines("Efficiency against size.", axes, |p| p.format.clone(), point));
    }
    for (_, group) in rows.group(|p| p.format.clone()) {
        for pair in group.windows(2) {
            let (small, large) = (pair[0], pair[1]);
            let what = format!("{} over {}", name(large), name(small));
            let evidence = large.evidence().and(&small.evidence());
            let ratio = large.ratio(delivered, small, delivered);
            chapter.value("efficiency_larger_over_smaller", what, ratio, &evidence);
        }
    }
    Ok(chapter)
}
