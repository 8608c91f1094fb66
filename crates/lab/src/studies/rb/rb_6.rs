//! RB-6: one model in the same size with each kind of attention, by depth.

use crate::measures::pass::{self, Column, Pass, Row};
use crate::measures::{layers, title};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_model::MlaForm;
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
    ],
    conclude,
};

/// The pairs that the claims compare, with their values in the order of intensity, performance and rate.
const PAIRS: [(&str, &str, [&str; 3]); 2] = [
    ("MLA", "MHA", ["intensity_mla_over_mha", "performance_mla_over_mha", "rate_mla_over_mha"]),
    ("MHA", "GQA", ["intensity_mha_over_gqa", "performance_mha_over_gqa", "rate_mha_over_gqa"]),
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
    let deepest = rows.iter().map(|e| e.point.depth).max();
    let deep = rows.clone().filter(|p| Some(p.depth) == deepest);
    for (above, below, [intensity, performed, rate]) in PAIRS {
        for e in deep.iter().filter(|e| kind(&e.point) == above) {
            let is_other = |p: &pass::Point| kind(p) == below && p.format == e.point.format;
            let Some(other) = deep.find(is_other) else { continue };
            let what = format!("{} at {}", series(&e.point), e.point.depth);
            let evidence = e.evidence().and(&other.evidence());
            let counted = e.row.pass.cost.intensity().zip(other.row.pass.cost.intensity());
            chapter.counted(intensity, &*what, counted.map(|(a, b)| Measured::exact(a / b)), &evidence);
            chapter.value(performed, &*what, e.ratio(performance, other, performance), &evidence);
            chapter.value(rate, what, other.time_over(e), &evidence);
        }
    }
    Ok(chapter)
}

/// The kind of attention, by the name of the shape: `mla-1.5b@2` is MLA.
fn kind(point: &pass::Point) -> String {
    point.model.split('-').next().unwrap_or_default().to_uppercase()
}

/// Kind and format, and the form of MLA.
fn series(point: &pass::Point) -> String {
    let form = match point.switches.mla {
        MlaForm::Absorbed => ", absorbed",
        MlaForm::Expanded if kind(point) == "MLA" => ", expanded",
        MlaForm::Expanded => "",
    };
    format!("{}{form}", title(&kind(point), &point.format))
}

/// Bytes that a token leaves in the KV cache of a layer.
fn cached(entry: &Pass<'_>) -> Option<f64> {
    let (_, n_layers) = layers(&entry.point.model)?;
    Some(entry.row.pass.cost.kv_write as f64 / (entry.row.test.generate * n_layers) as f64)
}

/// FLOP of attention per byte that it reads of the cache, from two depths.
fn of_attention(deep: &Pass<'_>, shallow: &Pass<'_>) -> Option<f64> {
    let [deep, shallow] = [deep, shallow].map(|e| e.row.pass.cost);
    let (flops, bytes) = (deep.flops.checked_sub(shallow.flops)?, deep.kv_read.checked_sub(shallow.kv_read)?);
    (bytes > 0).then(|| flops as f64 / bytes as f64)
}

/// FLOP per second of one visit.
fn performance(row: &Row) -> Option<f64> {
    Some(row.pass.cost.flops as f64 / row.median_s()?)
}
