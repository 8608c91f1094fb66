//! RB-4: the operational intensity of a decode step, counted, against two FLOP per weight.

use crate::measures::pass::{self, Column, Pass, Row};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-4",
    title: "Intensity of a decode step",
    question: "Is the operational intensity of decoding at a short context two over the bytes per weight?",
    about: "The study's own points of intensity use peak memory times time in place of bytes moved, so that they lie near 20 \
            to 36 and not near 1 (X-RB-4, X-RB-12). Here FLOP and bytes are counted from the launches.",
    values: &["intensity_times_bytes_per_weight"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows =
        data.rows::<pass::Kind>()?.filter(|p| p.is_default() && p.depth == 0 && p.work.generated().is_some());
    let rows = rows.wanted_by(STUDY.id);
    let columns = [
        Column::text("model", |e| title(&e.point.model, &e.point.format)),
        Column::number("bytes per weight", |e| Some(number::digits(bytes_per_weight(&e.row), 3))),
        Column::number("W/Q, FLOP/byte", |e| Some(number::digits(e.row.pass.cost.intensity()?, 3))),
        Column::number("2 / bytes per weight", |e| Some(number::digits(2.0 / bytes_per_weight(&e.row), 3))),
        Column::number("product, FLOP per weight", |e| Some(number::digits(product(e)?, 3))),
    ];
    chapter.table(rows.table("Counted work and traffic of generation from an empty cache.", &columns));
    for entry in &rows {
        let name = title(&entry.point.model, &entry.point.format);
        let value = product(entry).map(Measured::exact);
        chapter.counted("intensity_times_bytes_per_weight", name, value, &entry.evidence());
    }
    Ok(chapter)
}

fn bytes_per_weight(row: &Row) -> f64 {
    row.pass.weight_bytes as f64 / row.pass.params as f64
}

/// FLOP per weight read: intensity times bytes per weight.
fn product(entry: &Pass<'_>) -> Option<f64> {
    Some(entry.row.pass.cost.intensity()? * bytes_per_weight(&entry.row))
}
