//! INV-8: the bandwidth and the bound of products at the batch sizes that inference runs.

use super::products::{Column, Product, cost, name, performance, prediction, products};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Study};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-8",
    title: "Bandwidth and bound of products",
    question: "Which share of bandwidth and of the roof do products reach, and what bounds them?",
    about: "The study promises these figures and prints none. Its square products are not what inference runs: a prompt of 10 \
            to 100 tokens is a batch of that size.",
    values: &[],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = products(data, STUDY.id)?;
    let predicted = |e: &Product<'_>| Some((prediction(e, data.machine()?), e.seconds()?.value));
    let columns = [
        Column::text("product, m × n × n", name),
        Column::text("format", |e| e.point.format.to_string()),
        Column::number("time", |e| Some(number::si(e.seconds()?.value, "s"))),
        Column::number("FLOP/byte", |e| Some(number::digits(cost(e).intensity()?, 3))),
        Column::number("bandwidth", |e| Some(number::si(cost(e).bytes() as f64 / e.seconds()?.value, "B/s"))),
        Column::number("% BW", |e| predicted(e).map(|(p, s)| number::percent(p.mbu(s)))),
        Column::number("performance", |e| Some(number::si(performance(e)?.value, "FLOP/s"))),
        Column::number("% of roof", |e| predicted(e).map(|(p, s)| number::percent(p.roof_fraction(s)))),
        Column::text("bound", |e| predicted(e).map_or_else(String::new, |(p, _)| p.bound.to_string())),
    ];
    let caption = "Products back to back, without submission and wait. Bytes are those of the weights and of both activations.";
    chapter.table(rows.table(caption, &columns));
    Ok(chapter)
}
