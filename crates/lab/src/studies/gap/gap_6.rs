//! GAP-6: bandwidth efficiency against the depth of the context, with the traffic of the KV cache counted.

use super::decode::{Column, Pass, bandwidth, generation, kv, largest, name, weights};
use crate::measures::pass::{Point, Row};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Study};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-6",
    title: "Efficiency with KV traffic counted",
    question: "Does bandwidth efficiency rise with the context once the KV cache is counted?",
    about: "The study counts the cache as f32; its memory figures fit f16. With f16 its efficiency is 59, 56, 62 and 68 %, not \
            65 to 81 % (X-GAP-5).",
    values: &["efficiency_4096_over_64", "efficiency_4096_over_64_f32_kv"],
    conclude,
};

/// The depths that the claim compares.
const SHORT: usize = 64;
const LONG: usize = 4096;

/// Bytes of an f32 over those of an f16: how much the study counts for each byte of the cache.
const AS_F32: f64 = 2.0;

fn counted(row: &Row) -> f64 {
    weights(row) + kv(row)
}

fn as_the_study_counts(row: &Row) -> f64 {
    weights(row) + AS_F32 * kv(row)
}

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = generation(data)?;
    let swept = rows.clone().filter(|p| rows.find(|q| *q == Point { depth: SHORT, ..p.clone() }).is_some());
    let memory = data.machine().map(|m| m.bandwidth.memory().value);
    let share = |e: &Pass<'_>, bytes: fn(&Row) -> f64| {
        Some(number::percent(e.over_visits(|row| bandwidth(row, bytes(row)))?.value / memory?))
    };
    let columns = [
        Column::text("model", name),
        Column::number("depth", |e| Some(e.point.depth.to_string())),
        Column::number("weights per token", |e| Some(number::si(weights(&e.row), "B"))),
        Column::number("KV cache per token", |e| Some(number::si(kv(&e.row), "B"))),
        Column::number("% BW, counted", |e| share(e, counted)),
        Column::number("% BW, KV as f32", |e| share(e, as_the_study_counts)),
        Column::number("% BW, without KV", |e| share(e, weights)),
    ];
    chapter.table(swept.table("Share of the measured memory bandwidth, by what is counted.", &columns));
    // A larger model may have the short depth alone.
    let deep = swept.filter(|p| p.depth == LONG);
    for entry in largest(&deep) {
        let Some(short) = rows.find(|p| *p == Point { depth: SHORT, ..entry.point.clone() }) else {
            continue;
        };
        let evidence = entry.evidence().and(&short.evidence());
        let over = |bytes: fn(&Row) -> f64| {
            let figure = |row: &Row| bandwidth(row, bytes(row));
            entry.ratio(figure, short, figure)
        };
        chapter.value("efficiency_4096_over_64", name(entry), over(counted), &evidence);
        chapter.value("efficiency_4096_over_64_f32_kv", name(entry), over(as_the_study_counts), &evidence);
    }
    Ok(chapter)
}
