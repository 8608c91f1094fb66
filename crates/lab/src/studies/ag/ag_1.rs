//! AG-1: speed of one model in several quantizations, its Pareto fronts, and the step time over weight bytes.

use super::step_time::line;
use super::sweep::{SweepRow, find, rows};
use super::{Standing, standings};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, Line, Lines};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-1",
    title: "Quantization sweep: speed",
    question: "Which quantization gives the most speed for its size and quality?",
    about: "Five of the study's seven rows have a standard deviation of 19 to 36 % of their mean, so that its order of \
            formats is not established (X-AG-5).",
    values: &[
        "rate_q6_k_over_q5_k_m",
        "prefill_f16_over_q2_k",
        "prefill_q2_k_over_q3_k_m",
        "prefill_q3_k_m_over_q4_k_m",
        "prefill_q3_k_m_over_q5_k_m",
        "prefill_q3_k_m_over_q6_k",
    ],
    conclude,
};

/// The pairs of prompt rates that the study orders: name, and the two mixes.
const PREFILL: [(&str, &str, &str); 5] = [
    ("prefill_f16_over_q2_k", "f16", "q2_k"),
    ("prefill_q2_k_over_q3_k_m", "q2_k", "q3_k_m"),
    ("prefill_q3_k_m_over_q4_k_m", "q3_k_m", "q4_k_m"),
    ("prefill_q3_k_m_over_q5_k_m", "q3_k_m", "q5_k_m"),
    ("prefill_q3_k_m_over_q6_k", "q3_k_m", "q6_k"),
];

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    for (model, rows) in rows(data)? {
        let plain: Vec<&SweepRow<'_>> = rows.iter().filter(|it| !it.is_requantized()).collect();
        for lines in pareto_fronts(&plain) {
            chapter.lines(lines);
        }
        if let Some((text, lines)) = line(&plain) {
            chapter.text(text);
            lines.into_iter().for_each(|lines| chapter.lines(lines));
        }
        // Less time is more rate: the rate of A over B is the time of B over A.
        if let (Some(q6), Some(q5)) = (find(&rows, "q6_k"), find(&rows, "q5_k_m")) {
            let evidence = q6.generate.evidence().and(&q5.generate.evidence());
            chapter.value("rate_q6_k_over_q5_k_m", &model, q5.generate.time_over(&q6.generate), &evidence);
        }
        for (name, a, b) in PREFILL {
            let (Some(a), Some(b)) = (find(&rows, a), find(&rows, b)) else { continue };
            let evidence = a.prompt.evidence().and(&b.prompt.evidence());
            chapter.value(name, &model, b.prompt.time_over(&a.prompt), &evidence);
        }
    }
    Ok(chapter)
}

/// KL divergence against size and against speed: a point for each row, and a line through the Pareto front.
fn pareto_fronts(rows: &[&SweepRow<'_>]) -> Vec<Lines> {
    let axis = |title: &str, unit: &str, log| Axis { title: title.to_owned(), unit: unit.to_owned(), log };
    let drawn: Vec<_> = rows.iter().copied().filter(|it| it.kl() > 0.0 && it.rate().is_some()).collect();
    if drawn.len() < 2 {
        return Vec::new();
    }
    let speed = |it: &SweepRow<'_>| it.rate().unwrap_or(Measured::exact(0.0));
    vec![
        pareto_front(
            &drawn,
            SweepRow::by_size,
            SweepRow::size,
            axis("weights", "B", true),
            "Quality against size",
        ),
        pareto_front(
            &drawn,
            SweepRow::by_speed,
            speed,
            axis("decode, tokens/s", "", false),
            "Quality against speed",
        ),
    ]
}

/// One figure of [`pareto_fronts`], from the goals of a row and its place on the horizontal axis.
fn pareto_front<'a>(
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
