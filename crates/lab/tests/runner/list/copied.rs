//! The study of the tests: a table and a roofline of all copies, and values for the published claim GAP-C10.

use super::copying::{Kind, Point, Row};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Block, Dot, Roofline};
use ridgeline_experiment::rows::Col;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// A column of the table.
type Column<'c> = Col<'c, Point, Row>;

/// Copies of this size leave the claim undecided, until they have five visits.
pub(crate) const UNTIL_FIVE: u64 = 5_555;
/// Copies of this size leave the claim undecided.
pub(crate) const FOREVER: u64 = 9_999;

pub(crate) const STUDY: Study = Study {
    id: "GAP-10",
    title: "Copying",
    question: "How fast is a copy?",
    about: "It is only a test.",
    values: &["t4_over_t1"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<Kind>()?;
    let columns = [
        Column::number("bytes", |e| Some(e.point.bytes.to_string())),
        Column::number("B/s", |e| Some(e.row.bytes_per_s.to_string())),
        Column::number("visits", |e| Some(e.visits().to_string())),
    ];
    chapter.table(rows.table("", &columns));
    let mut figure = Roofline::default();
    for entry in &rows {
        figure.dots.push(Dot {
            label: format!("copy of {} bytes", entry.point.bytes),
            name: "copy".to_owned(),
            model: "none".to_owned(),
            group: "copy".to_owned(),
            intensity: 0.25,
            flops_per_s: Measured::exact(entry.row.bytes_per_s / 4.0),
            bound: None,
            roof_fraction: None,
        });
        // The claim requires a value below 1.15.
        let hi = match entry.point.bytes {
            UNTIL_FIVE if entry.visits() >= 5 => 1.1,
            UNTIL_FIVE | FOREVER => 1.2,
            _ => continue,
        };
        let value = Measured { value: 1.05, lo: 1.0, hi };
        chapter.value("t4_over_t1", entry.point.bytes.to_string(), Some(value), &entry.evidence());
    }
    if !figure.dots.is_empty() {
        chapter.blocks.push(Block::Roofline(figure));
    }
    Ok(chapter)
}
