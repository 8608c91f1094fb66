//! GAP-2: the cost of synchronising: a chain of products and a whole decode step by granularity of submission.

use super::decode::{Column, Pass, bandwidth, step, weights};
use crate::measures::ceilings::joined;
use crate::measures::pass::{self, Row};
use crate::measures::{layers, title};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::pass::Submission;
use ridgeline_measure::probe::Ceiling;
use ridgeline_model::Part;
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-2",
    title: "Granularity of submission",
    question: "What does a wait cost, and does a chain of products reach the bandwidth of a copy with one wait per token?",
    about: "The study prints 0.2 µs for a wait of 0.2 ms (X-GAP-2), and its products have the key and value shapes of \
            multi-head attention (X-GAP-4). The chain here is a decode step of which only the products are left.",
    values: &["chain_over_copy", "wait_s"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let all = data.rows::<pass::Kind>()?;
    let by_pass = |p: &pass::Point| {
        let whole = pass::Point { submission: Submission::Pass, wait: true, ..p.clone() };
        let single = pass::Point { submission: Submission::Launch, wait: true, ..p.clone() };
        all.find(|q| *q == whole).is_some() && all.find(|q| *q == single).is_some()
    };
    let rows = all.clone().filter(by_pass);
    let delivered = |row: &Row| bandwidth(row, weights(row));
    let columns = [
        Column::text("work", name),
        Column::text("submission", |e| format!("{:?}", e.point.submission).to_lowercase()),
        Column::text("wait after each", |e| if e.point.wait { "yes" } else { "no" }.to_owned()),
        Column::number("time per token", |e| Some(number::si(step(e)?.value, "s"))),
        Column::number("95 % interval", |e| step(e).map(|s| number::si_range(s.lo, s.hi, "s"))),
        Column::number("bandwidth of the weights", |e| {
            Some(number::si(e.over_visits(delivered)?.value, "B/s"))
        }),
    ];
    chapter.table(rows.table("One token by how its launches are submitted.", &columns));
    let copy = joined(data)?.into_iter().find_map(|it| match it {
        Ceiling::Copy(c) => c.curve.samples().last().map(|s| s.rate),
        _ => None,
    });
    for entry in rows.iter().filter(|e| e.point.submission == Submission::Pass && e.point.wait) {
        if let (true, Some((model, few))) = (is_chain(&entry.point), layers(&entry.point.model)) {
            for other in all.iter().filter(|e| differs_in_layers(&e.point, &entry.point)) {
                let Some((_, more)) = layers(&other.point.model).filter(|(_, more)| *more > few) else {
                    continue;
                };
                let rate = whole((entry, few as f64), (other, more as f64));
                let over = rate.zip(copy).map(|(rate, copy)| rate.over(copy));
                let evidence = entry.evidence().and(&other.evidence());
                chapter.value("chain_over_copy", format!("{model}, all layers"), over, &evidence);
            }
        }
        let single = pass::Point { submission: Submission::Launch, ..entry.point.clone() };
        if let Some(single) = rows.find(|p| *p == single) {
            let evidence = entry.evidence().and(&single.evidence());
            chapter.value("wait_s", name(entry), wait(entry, single), &evidence);
        }
    }
    Ok(chapter)
}

/// Layers of the study's model.
const LAYERS: f64 = 32.0;

fn differs_in_layers(a: &pass::Point, b: &pass::Point) -> bool {
    a.model != b.model && *a == pass::Point { model: a.model.clone(), ..b.clone() }
}

/// Delivered bandwidth of all layers, from two numbers of them: time and bytes are linear in it.
fn whole((a, few): (&Pass<'_>, f64), (b, more): (&Pass<'_>, f64)) -> Option<Measured> {
    let by = (LAYERS - few) / (more - few);
    let at = |a: f64, b: f64| a + by * (b - a);
    let (first, second) = (step(a)?, step(b)?);
    // The ends of the longer step count most; those of the shorter one against them.
    let time = Measured {
        value: at(first.value, second.value),
        lo: at(first.hi, second.lo).max(second.lo),
        hi: at(first.lo, second.hi),
    };
    let bytes = at(weights(&a.row), weights(&b.row));
    Some(time.map(|s| bytes / s))
}

/// Whether only products are left of the step.
fn is_chain(point: &pass::Point) -> bool {
    point.switches.ablate.has(Part::Attention) && !point.switches.ablate.has(Part::Mlp)
}

fn name(entry: &Pass<'_>) -> String {
    let work = if is_chain(&entry.point) { "chain of products" } else { "decode step" };
    format!("{work}, {}", title(&entry.point.model, &entry.point.format))
}

/// Seconds of one more submission with its wait: the difference of the steps over the further launches.
fn wait(whole: &Pass<'_>, single: &Pass<'_>) -> Option<Measured> {
    let further = super::decode::launches(&whole.row) - 1.0;
    let (a, b) = (step(single)?, step(whole)?);
    Some(Measured { value: a.value - b.value, lo: a.lo - b.hi, hi: a.hi - b.lo }.map(|s| s / further))
}
