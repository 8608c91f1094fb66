//! GAP-11: 8-bit against 4-bit weights of the same group size, as whole decode steps.

use super::decode::{Column, bandwidth, generation, name, rate, weights};
use crate::measures::pass::{Point, Row};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Study};

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
    chapter.table(
        pairs.table("Whole decode steps in groups of 64 weights with 16-bit scales and offsets.", &columns),
    );
    for eight in pairs.iter().filter(|e| e.point.format == EIGHT) {
        let Some(four) = other(&eight.point, FOUR) else { continue };
        let what = format!("{} @ d{}", eight.point.model, eight.point.depth);
        let evidence = eight.evidence().and(&four.evidence());
        let loss = four.time_over(eight).map(|rate| rate.map(|rate| 1.0 - rate));
        let gain = eight.ratio(delivered, four, delivered).map(|it| it.map(|it| it - 1.0));
        chapter.value("rate_loss_8bit", &*what, loss, &evidence);
        chapter.value("bandwidth_gain_8bit", what, gain, &evidence);
    }
    Ok(chapter)
}
