//! RB-6: one model in the same size with each kind of attention, by depth.

use super::attention::{cached, of_attention, pairs, series};
use crate::measures::pass::{self, Column, Pass, Point, Row};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-6",
    title: "Kinds of attention at one size",
    question: "At 1.5 B parameters, has MLA the highest operational intensity and performance, and GQA the lowest?",
    about: "The study cuts published models to about one size, which differ in more than attention. Its code charges MLA for a \
            latent row of 2048 in place of 512, so that the printed order is that of charged work (X-RB-5, X-RB-6). Here one \
            model has each kind of attention, and feed-forward blocks take up the difference in size.",
    values: &[
        "intensity_mla_over_mha",
        "performance_mla_over_mha",
        "rate_mla_over_mha",
        "intensity_mha_over_gqa",
        "performance_mha_over_gqa",
        "rate_mha_over_gqa",
        "device_mla_over_mha",
        "device_mha_over_gqa",
    ],
    conclude,
};

/// The pairs that the claims compare, with their values: intensity, performance, rate, and performance on each of several devices.
const PAIRS: [(&str, &str, [&str; 4]); 2] = [
    (
        "MLA",
        "MHA",
        ["intensity_mla_over_mha", "performance_mla_over_mha", "rate_mla_over_mha", "device_mla_over_mha"],
    ),
    (
        "MHA",
        "GQA",
        ["intensity_mha_over_gqa", "performance_mha_over_gqa", "rate_mha_over_gqa", "device_mha_over_gqa"],
    ),
];

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<pass::Kind>()?.wanted_by(STUDY.id);
    let shallow = |e: &Pass<'_>| {
        let own = rows.iter().filter(|it| series(&it.point) == series(&e.point));
        own.min_by_key(|it| it.point.depth).filter(|it| it.point.depth < e.point.depth)
    };
    let kept = |e: &Pass<'_>| shallow(e)?.time_over(e);
    let columns = [
        Column::text("attention", |e| series(&e.point)),
        Column::number("depth", |e| Some(e.point.depth.to_string())),
        Column::number("KV cache per token and layer", |e| Some(number::si(cached(e)?, "B"))),
        Column::number("attention, FLOP per byte of cache", |e| {
            Some(number::digits(of_attention(e, shallow(e)?)?, 3))
        }),
        Column::number("W/Q, FLOP/byte", |e| Some(number::digits(e.row.pass.cost.intensity()?, 3))),
        Column::number("performance", |e| Some(number::si(e.over_visits(performance)?.value, "FLOP/s"))),
        Column::number("tokens/s", |e| {
            Some(number::digits(e.row.test.generate as f64 / e.seconds()?.value, 4))
        }),
        Column::number("rate over the shortest depth's", |e| Some(format!("{:.3}", kept(e)?.value))),
    ];
    chapter.table(
        rows.table("Generation at a depth, by kind of attention. All models have one size.", &columns),
    );
    let axis = |title: &str, log| Axis { title: title.to_owned(), unit: String::new(), log };
    let axes = (axis("tokens in the KV cache", true), axis("rate over that at the shortest depth", false));
    let point = |e: &Pass<'_>| Some((e.point.depth as f64, kept(e)?));
    chapter.lines(rows.lines("Loss of rate with depth, by kind of attention.", axes, series, point));
    compare(&mut chapter, &rows);
    if data.devices().count() > 1 {
        for device in data.devices() {
            let name = device.machine().map_or("a device", |it| it.name.as_str());
            by_device(&mut chapter, &device.rows::<pass::Kind>()?.wanted_by(STUDY.id), name);
        }
    }
    Ok(chapter)
}

/// The values of this device.
fn compare(chapter: &mut Chapter, rows: &Rows<'_, Point, Row>) {
    for (above, below, [intensity, performed, rate, _]) in PAIRS {
        for (e, other) in pairs(rows, above, below) {
            let what = format!("{} at {}", series(&e.point), e.point.depth);
            let evidence = e.evidence().and(&other.evidence());
            let counted = e.row.pass.cost.intensity().zip(other.row.pass.cost.intensity());
            chapter.counted(intensity, &*what, counted.map(|(a, b)| Measured::exact(a / b)), &evidence);
            chapter.value(performed, &*what, e.ratio(performance, other, performance), &evidence);
            chapter.value(rate, what, other.time_over(e), &evidence);
        }
    }
}

/// The values of one of several devices.
fn by_device(chapter: &mut Chapter, rows: &Rows<'_, Point, Row>, device: &str) {
    for (above, below, [.., performed]) in PAIRS {
        for (e, other) in pairs(rows, above, below) {
            let what = format!("{} at {} on {device}", series(&e.point), e.point.depth);
            let evidence = e.evidence().and(&other.evidence());
            chapter.value(performed, what, e.ratio(performance, other, performance), &evidence);
        }
    }
}

/// FLOP per second of one visit.
fn performance(row: &Row) -> Option<f64> {
    Some(row.pass.cost.flops as f64 / row.median_s()?)
}
