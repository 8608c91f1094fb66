//! Figures of the quantization sweep: KL divergence against size and against speed, with the Pareto front of each.

use super::sweep::SweepRow;
use super::{Standing, standings};
use ridgeline_experiment::report::{Axis, Line, Lines};
use ridgeline_roofline::Measured;

/// KL divergence against size and against speed: a point for each row, and a line through the Pareto front.
pub(super) fn figures(rows: &[&SweepRow<'_>]) -> Vec<Lines> {
    let axis = |title: &str, unit: &str, log| Axis { title: title.to_owned(), unit: unit.to_owned(), log };
    let drawn: Vec<_> = rows.iter().copied().filter(|it| it.kl() > 0.0 && it.rate().is_some()).collect();
    if drawn.len() < 2 {
        return Vec::new();
    }
    let speed = |it: &SweepRow<'_>| it.rate().unwrap_or(Measured::exact(0.0));
    vec![
        figure(&drawn, SweepRow::by_size, SweepRow::size, axis("weights", "B", true), "Quality against size"),
        figure(
            &drawn,
            SweepRow::by_speed,
            speed,
            axis("decode, tokens/s", "", false),
            "Quality against speed",
        ),
    ]
}

/// One figure of [`figures`], from the goals of a row and its place on the horizontal axis.
fn figure<'a>(
    rows: &[&SweepRow<'a>],
    goals: fn(&SweepRow<'a>) -> [Measured; 2],
    x: impl Fn(&SweepRow<'a>) -> Measured,
    axis: Axis,
    what: &str,
) -> Lines {
    let standings = standings(&rows.iter().map(|it| goals(it)).collect::<Vec<_>>());
    let at = |it: &SweepRow<'a>| (x(it).value, it.quality.row.vs_reference.kl.interval());
    let line = |it: &&SweepRow<'a>| Line { label: it.label(), points: vec![at(it)], predicted: false };
    let mut lines: Vec<Line> = rows.iter().map(line).collect();
    let standing = |wanted: Standing| {
        rows.iter()
            .zip(&standings)
            .filter(move |(_, it)| **it == wanted)
            .map(|(row, _)| *row)
            .collect::<Vec<_>>()
    };
    let mut points: Vec<(f64, Measured)> = standing(Standing::Front).into_iter().map(at).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    lines.push(Line { label: "Pareto front".to_owned(), points, predicted: true });
    let names = |all: Vec<&SweepRow<'a>>| all.into_iter().map(SweepRow::label).collect::<Vec<_>>().join(", ");
    let tied = names(standing(Standing::Tied));
    let tied = if tied.is_empty() { "no other".to_owned() } else { tied };
    Lines {
        caption: format!(
            "{what}: mean KL divergence from half precision; lower is better. On the Pareto front: {}. Tied with it within \
             intervals: {tied}.",
            names(standing(Standing::Front))
        ),
        x: axis,
        y: Axis { title: "mean KL divergence, nats".to_owned(), unit: String::new(), log: true },
        lines,
    }
}
