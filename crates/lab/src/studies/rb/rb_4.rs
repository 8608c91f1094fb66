//! RB-4: operational intensity, counted: of a decode step, and of whole runs of the four scenarios.

use super::scenario;
use crate::measures::count::{self, Count};
use crate::measures::pass::{self, Column, Pass, Row};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::rows::Col;
use ridgeline_experiment::study::{Chapter, Evidence, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-4",
    title: "Intensity of a decode step and of whole runs",
    question: "How many FLOP per byte do a decode step, and the four scenarios of short and long input and output have?",
    about: "The study's own points of intensity use peak memory times time in place of bytes moved, so that they lie near 20 \
            to 36 and not near 1 (X-RB-4, X-RB-12). Here FLOP and bytes are counted from the launches, generation after its \
            prompt. The study's generations have no prompt (X-RB-7).",
    values: &["intensity_times_bytes_per_weight", "liso_over_lilo", "lilo_over_siso", "siso_over_silo"],
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
    whole_runs(data, &mut chapter)?;
    Ok(chapter)
}

/// The scenarios, whole: the prompt and the generation after it.
fn whole_runs(data: &Data<'_>, chapter: &mut Chapter) -> Result<(), Error> {
    let rows = data.rows::<count::Kind>()?.wanted_by(STUDY.id);
    let Some(short) = scenario::short(rows.iter().map(|e| e.point.work)) else { return Ok(()) };
    let name = |e: &Count<'_>| scenario::name(e.point.work, short);
    let columns = [
        Col::text("model", |e: &Count<'_>| title(&e.point.model, &e.point.format)),
        Col::text("scenario", |e: &Count<'_>| name(e).unwrap_or("–").to_owned()),
        Col::text("work", |e: &Count<'_>| e.point.work.into()),
        Col::number("W", |e: &Count<'_>| Some(number::si(e.row.cost.flops as f64, "FLOP"))),
        Col::number("Q", |e: &Count<'_>| Some(number::si(e.row.cost.bytes() as f64, "B"))),
        Col::number("W/Q, FLOP/byte", |e: &Count<'_>| Some(number::digits(e.row.cost.intensity()?, 3))),
        Col::number("W/Q of the prompt", |e: &Count<'_>| Some(number::digits(e.row.prompt.intensity()?, 3))),
    ];
    chapter.table(rows.table("Counted work and traffic of whole runs.", &columns));
    for (model, entries) in rows.group(|p| title(&p.model, &p.format)) {
        let of = |wanted| entries.iter().find(|e| name(e) == Some(wanted));
        for (value, above, below) in [
            ("liso_over_lilo", "LISO", "LILO"),
            ("lilo_over_siso", "LILO", "SISO"),
            ("siso_over_silo", "SISO", "SILO"),
        ] {
            let Some((above, below)) = of(above).zip(of(below)) else { continue };
            let ratio = above.row.cost.intensity().zip(below.row.cost.intensity());
            let evidence: Evidence = above.evidence().and(&below.evidence());
            chapter.counted(value, &*model, ratio.map(|(a, b)| Measured::exact(a / b)), &evidence);
        }
    }
    Ok(())
}

fn bytes_per_weight(row: &Row) -> f64 {
    row.pass.weight_bytes as f64 / row.pass.params as f64
}

/// FLOP per weight read: intensity times bytes per weight.
fn product(entry: &Pass<'_>) -> Option<f64> {
    Some(entry.row.pass.cost.intensity()? * bytes_per_weight(&entry.row))
}
