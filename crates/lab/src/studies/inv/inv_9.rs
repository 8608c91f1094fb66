//! INV-9: several sequences in one forward pass, and the utilisation that they win.

use super::pair::{cells, is_small};
use crate::measures::pass::{Column, Pass, Point, Row};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::{Measured, Precision};
use std::num::NonZeroUsize;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-9",
    title: "Several sequences together",
    question: "How much does decoding several sequences in one forward pass raise the utilisation?",
    about: "The study recommends to batch 8 to 16 queries and measures none. Here each forward pass appends a token to every \
            sequence. It reads the weights once, and each sequence's own keys and values. The host waits for every pass. \
            Utilisation is FLOP/s over the peak, which cancels in the comparison with one sequence.",
    values: &["utilisation_8_over_1", "utilisation_16_over_1"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = cells(data, STUDY.id)?.sorted(|e| (!is_small(&e.point), e.point.depth, e.point.sequences));
    let machine = data.machine();
    let rate = |e: &Pass<'_>| Some(e.point.tokens() as f64 / e.seconds()?.value);
    let flops = |e: &Pass<'_>| Some(e.row.pass.cost.flops as f64 / e.seconds()?.value);
    let columns = [
        Column::text("model", |e| name(&e.point)),
        Column::number("sequences", |e| Some(e.point.sequences.to_string())),
        Column::number("time of a pass", |e| {
            Some(number::si(e.seconds()?.value / e.point.work.tokens() as f64, "s"))
        }),
        Column::number("tokens/s", |e| Some(number::digits(rate(e)?, 4))),
        Column::number("tokens/s of each", |e| {
            Some(number::digits(rate(e)? / e.point.sequences.get() as f64, 4))
        }),
        Column::number("FLOP/byte", |e| Some(number::digits(e.row.pass.cost.intensity()?, 3))),
        Column::number("% of peak", |e| {
            Some(number::percent(flops(e)? / machine?.peak(Precision::Fastest).value))
        }),
        Column::number("utilisation over one sequence", |e| utilisation(&rows, e).map(times)),
        Column::number("bound", |e| Some(e.row.pass.prediction(machine?).bound.to_string())),
    ];
    let caption = "Decoding of several sequences together. A pass appends one token to each.";
    chapter.table(rows.table(caption, &columns));
    let axes = (
        Axis { title: "sequences".to_owned(), unit: String::new(), log: true },
        Axis { title: "tokens/s over one sequence".to_owned(), unit: String::new(), log: true },
    );
    let point = |e: &Pass<'_>| Some((e.point.sequences.get() as f64, speed_up(&rows, e)?));
    chapter.lines(rows.lines("Speed of all sequences together, relative to one.", axes, name, point));
    for entry in rows.iter().filter(|e| is_small(&e.point)) {
        let value = match entry.point.sequences.get() {
            8 => "utilisation_8_over_1",
            16 => "utilisation_16_over_1",
            _ => continue,
        };
        let Some(one) = one(&rows, &entry.point) else { continue };
        let evidence = entry.evidence().and(&one.evidence());
        chapter.value(value, name(&entry.point), utilisation(&rows, entry), &evidence);
    }
    Ok(chapter)
}

fn name(point: &Point) -> String {
    format!("{} @ d{}", title(&point.model, &point.format), point.depth)
}

/// A factor with its interval.
fn times(ratio: Measured) -> String {
    format!("{:.2} [{:.2} – {:.2}]", ratio.value, ratio.lo, ratio.hi)
}

/// The cell of one sequence that does the same otherwise.
fn one<'r, 'a>(rows: &'r Rows<'a, Point, Row>, point: &Point) -> Option<&'r Pass<'a>> {
    rows.find(|p| *p == Point { sequences: NonZeroUsize::MIN, ..point.clone() })
}

/// FLOP/s of all sequences over that of one.
fn utilisation(rows: &Rows<'_, Point, Row>, several: &Pass<'_>) -> Option<Measured> {
    let one = one(rows, &several.point)?;
    let work = several.row.pass.cost.flops as f64 / one.row.pass.cost.flops as f64;
    Some(several.time_over(one)?.map(|time| work / time))
}

/// Tokens/s of all sequences over those of one.
fn speed_up(rows: &Rows<'_, Point, Row>, several: &Pass<'_>) -> Option<Measured> {
    let time = several.time_over(one(rows, &several.point)?)?;
    Some(time.map(|time| several.point.sequences.get() as f64 / time))
}
