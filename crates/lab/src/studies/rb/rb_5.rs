//! RB-5: the intensity and the speed of a decode step by the number of layers.

use crate::measures::pass::{self, Column, Pass, Row};
use crate::measures::{layers, title};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::{Chapter, Evidence, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-5",
    title: "Number of layers",
    question: "Does the operational intensity of decoding peak at 3 to 5 layers?",
    about: "The study divides the work of the layers by peak memory times time. Both factors grow with the layers from a fixed \
            part, so that the quotient peaks by algebra (X-RB-9). Here the bytes are counted, with the study's form beside them.",
    values: &["layers_of_peak_intensity", "intensity_max_over_min", "layers_of_peak_by_memory_time"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<pass::Kind>()?.wanted_by(STUDY.id);
    let rows = rows.sorted(|e| (series(&e.point), depth(e)));
    let by_memory_time = |e: &Pass<'_>| by_memory_time(e, layer_flops(&rows, &e.point)?);
    let axis = |title: &str, unit: &str| Axis { title: title.to_owned(), unit: unit.to_owned(), log: true };
    let axes = (axis("layers", ""), axis("performance", "FLOP/s"));
    let point = |e: &Pass<'_>| Some((depth(e)?, performance(e)?));
    chapter.lines(rows.lines("Performance of generation by the number of layers.", axes, series, point));
    let columns = [
        Column::text("model", |e| title(&e.point.model, &e.point.format)),
        Column::number("W/Q, FLOP/byte", |e| Some(number::digits(intensity(e)?.value, 3))),
        Column::number("performance", |e| Some(number::si(performance(e)?.value, "FLOP/s"))),
        Column::number("95 % interval", |e| performance(e).map(|p| number::si_range(p.lo, p.hi, "FLOP/s"))),
        Column::number("work of layers / (memory × time), FLOP/(byte·s)", |e| {
            Some(number::digits(by_memory_time(e)?.value, 3))
        }),
    ];
    chapter.table(rows.table("Generation from an empty cache.", &columns));
    for (what, entries) in rows.group(series) {
        let evidence = entries.iter().fold(Evidence::default(), |all, e| all.and(&e.evidence()));
        let counted = || entries.iter().filter_map(|e| Some(intensity(e)?.value));
        let range = counted().reduce(f64::max).zip(counted().reduce(f64::min));
        let over = range.map(|(most, least)| Measured::exact(most / least));
        chapter.counted("layers_of_peak_intensity", &*what, peak(&entries, intensity), &evidence);
        chapter.counted("intensity_max_over_min", &*what, over, &evidence);
        chapter.counted("layers_of_peak_by_memory_time", &*what, peak(&entries, by_memory_time), &evidence);
    }
    Ok(chapter)
}

/// Model without its number of layers, and format.
fn series(point: &pass::Point) -> String {
    title(layers(&point.model).map_or(&*point.model, |it| it.0), &point.format)
}

/// Number of layers.
fn depth(entry: &Pass<'_>) -> Option<f64> {
    Some(layers(&entry.point.model)?.1 as f64)
}

/// Counted FLOP per counted byte.
fn intensity(entry: &Pass<'_>) -> Option<Measured> {
    entry.row.pass.cost.intensity().map(Measured::exact)
}

/// FLOP per second, with the interval of visits.
fn performance(entry: &Pass<'_>) -> Option<Measured> {
    Some(entry.seconds()?.map(|s| entry.row.pass.cost.flops as f64 / s))
}

/// FLOP of one layer in a repetition, from the models of a series with the fewest and the most layers.
fn layer_flops(rows: &Rows<'_, pass::Point, Row>, point: &pass::Point) -> Option<f64> {
    let own = || rows.iter().filter(|e| series(&e.point) == series(point));
    let (few, many) = (own().next()?, own().next_back()?);
    let more = many.row.pass.cost.flops.checked_sub(few.row.pass.cost.flops)?;
    Some(more as f64 / (depth(many)? - depth(few)?)).filter(|flops| flops.is_finite())
}

/// The study's form of intensity. The memory is that of weights and activations.
fn by_memory_time(entry: &Pass<'_>, layer_flops: f64) -> Option<Measured> {
    let memory = (entry.row.pass.weight_bytes + entry.row.pass.regime.scratch) as f64;
    let work = layer_flops * depth(entry)?;
    Some(entry.seconds()?.map(|s| work / (memory * s)))
}

/// Number of layers with the largest figure. The interval has every number whose figure may be the largest.
fn peak(entries: &[&Pass<'_>], figure: impl Fn(&Pass<'_>) -> Option<Measured>) -> Option<Measured> {
    let all: Vec<(f64, Measured)> = entries.iter().filter_map(|e| Some((depth(e)?, figure(e)?))).collect();
    let most = all.iter().copied().reduce(|a, b| if b.1.value > a.1.value { b } else { a })?;
    let possible = all.iter().filter(|it| it.1.hi >= most.1.lo).map(|it| it.0);
    let (lo, hi) = possible.fold((most.0, most.0), |(lo, hi), n| (lo.min(n), hi.max(n)));
    (all.len() > 2).then_some(Measured { value: most.0, lo, hi })
}
