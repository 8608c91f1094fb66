//! INV-2: the share of peak that square products reach at the widths of a small and a large model.

use super::products::{Column, Product, name, performance, products};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::stats;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::probe::ProductTime;
use ridgeline_roofline::{Measured, Precision};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-2",
    title: "Share of peak by width",
    question: "Does a product of width 576 reach a smaller share of peak than one of width 2048?",
    about: "The study's shares mean times longer than its whole forward pass (X-INV-5), and 2.8 times the share leaves the \
            small product 3.1 times faster (X-INV-4). Times here are slopes. Beside them stand products with a wait each.",
    values: &["share_of_peak_576_over_2048", "share_of_peak_576_over_2048_waited"],
    conclude,
};

const CAPTION: &str = "Square products at the widths of the study's two models. The peak is the median of a probe; a share above \
                       100 % lies within the probe's interval.";

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = products(data, STUDY.id)?;
    let peak = data.machine().map(|m| m.peak(Precision::Fastest).value);
    let share = |e: &Product<'_>| Some(number::percent(performance(e)?.value / peak?));
    let waited = |e: &Product<'_>| e.over_visits(|row| Some(row.flops as f64 / waited_s(row)?));
    let columns = [
        Column::text("product, m × n × n", name),
        Column::text("format", |e| e.point.format.to_string()),
        Column::number("time", |e| Some(number::si(e.seconds()?.value, "s"))),
        Column::number("performance", |e| Some(number::si(performance(e)?.value, "FLOP/s"))),
        Column::number("95 % interval", |e| performance(e).map(|p| number::si_range(p.lo, p.hi, "FLOP/s"))),
        Column::number("% of peak", share),
        Column::number("% of peak with a wait each", |e| Some(number::percent(waited(e)?.value / peak?))),
    ];
    chapter.table(rows.table(CAPTION, &columns));
    let square = |n: u32| rows.find(|p| (p.shape.rows, p.shape.cols, p.vectors) == (n, n, n));
    if let (Some(small), Some(large)) = (square(576), square(2048)) {
        let evidence = small.evidence().and(&large.evidence());
        // The peak cancels.
        let work = small.row.flops as f64 / large.row.flops as f64;
        let over = |time: Option<Measured>| time.map(|time| time.map(|time| work / time));
        let what = small.point.format.to_string();
        let slope = over(small.time_over(large));
        chapter.value("share_of_peak_576_over_2048", &*what, slope, &evidence);
        let waited = over(small.ratio(waited_s, large, waited_s));
        chapter.value("share_of_peak_576_over_2048_waited", what, waited, &evidence);
    }
    Ok(chapter)
}

/// Seconds of one product with a submission and a wait of its own.
fn waited_s(row: &ProductTime) -> Option<f64> {
    stats::median(&row.synchronised)
}
