//! GAP-11: 8-bit against 4-bit weights of the same group size, as whole decode steps.

use super::decode::{Column, bandwidth, generation, largest, name, rate, weights};
use crate::measures::operation;
use crate::measures::pass::{Point, Row};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::probe::ProductPath;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-11",
    title: "8-bit against 4-bit",
    question: "How much slower is 8-bit than 4-bit, and how much better does it use the bandwidth?",
    about: "The study's ratio of 1.02 for single products is the floor of an evaluation (X-GAP-10). It compares a drop of the \
            rate by 35 % with a rise of the time; in time it is 52 % (X-GAP-12).",
    values: &["rate_loss_8bit", "bandwidth_gain_8bit"],
    conclude,
};

/// The two formats: MLX's groups of 64 weights, as in the study.
const FOUR: &str = "mlx4_g64";
const EIGHT: &str = "mlx8_g64";

/// One vector times matrices of the study's shapes, in both widths.
fn products(data: &Data<'_>) -> Result<Table, Error> {
    let rows = data.rows::<operation::Kind>()?.filter(|p| p.path == ProductPath::Fused && p.vectors == 1);
    let (four, eight) = (FOUR.to_uppercase(), EIGHT.to_uppercase());
    let titles = ["matrix", "4 bits", "8 bits", "time ratio", "95 % interval", "ratio of bytes"];
    let mut table =
        Table::new("Single products, without submission and wait.", titles.map(|it| (it, Align::Right)));
    for wide in rows.iter().filter(|e| e.point.format.to_string() == eight) {
        let narrow = rows.find(|p| p.shape == wide.point.shape && p.format.to_string() == four);
        let row = narrow
            .and_then(|narrow| Some((narrow, narrow.seconds()?, wide.seconds()?, wide.time_over(narrow)?)));
        let Some((narrow, a, b, ratio)) = row else { continue };
        table.push([
            String::from(wide.point.shape),
            number::si(a.value, "s"),
            number::si(b.value, "s"),
            format!("{:.2}", ratio.value),
            format!("{:.2} – {:.2}", ratio.lo, ratio.hi),
            format!("{:.2}", wide.row.weight_bytes as f64 / narrow.row.weight_bytes as f64),
        ]);
    }
    Ok(table)
}

fn delivered(row: &Row) -> Option<f64> {
    bandwidth(row, weights(row))
}

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = generation(data)?;
    let other =
        |p: &Point, format: &str| rows.find(|q| *q == Point { format: format.to_owned(), ..p.clone() });
    let pairs = rows.clone().filter(|p| other(p, FOUR).is_some() && other(p, EIGHT).is_some());
    let columns = [
        Column::text("model", name),
        Column::number("depth", |e| Some(e.point.depth.to_string())),
        Column::number("weights per token", |e| Some(number::si(weights(&e.row), "B"))),
        Column::number("tokens/s", |e| Some(number::digits(rate(e)?.value, 4))),
        Column::number("bandwidth", |e| Some(number::si(e.over_visits(delivered)?.value, "B/s"))),
    ];
    chapter.table(products(data)?);
    chapter.table(
        pairs.table("Whole decode steps in groups of 64 weights with 16-bit scales and offsets.", &columns),
    );
    for eight in largest(&pairs).filter(|e| e.point.format == EIGHT) {
        let Some(four) = other(&eight.point, FOUR) else { continue };
        let what = format!("{} @ d{}", eight.point.model, eight.point.depth);
        let evidence = eight.evidence().and(&four.evidence());
        chapter.loss("rate_loss_8bit", &*what, four.time_over(eight), &evidence);
        let ratio = eight.ratio(delivered, four, delivered);
        let gain = ratio.map(|it| it.map(|it| it - 1.0));
        chapter.add("bandwidth_gain_8bit", what, (gain, ratio.map_or(0.0, |it| it.value)), &evidence);
    }
    Ok(chapter)
}
