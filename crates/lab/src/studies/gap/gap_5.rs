//! GAP-5: fused against unfused attention by context, and quantized products against dequantize-then-multiply.

use super::decode::belongs;
use crate::measures::launch;
use crate::measures::operation::{self, Point, Shape};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::report::{Axis, number};
use ridgeline_experiment::rows::{Col, Rows};
use ridgeline_experiment::stats;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::probe::{ProductPath, ProductTime};
use ridgeline_measure::profile::Profiled;
use ridgeline_model::{AttentionPath, Part};
use ridgeline_roofline::Measured;

type Operation<'a> = Entry<'a, Point, ProductTime>;
type Column<'c> = Col<'c, Point, ProductTime>;
type Launches<'a> = Entry<'a, launch::Point, Profiled>;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-5",
    title: "Fused against unfused kernels",
    question: "How much do a fused quantized product and fused attention gain?",
    about: "Each call of the study pays a floor of about 200 µs. Net of it, its fused products are at least 21 times faster, \
            and its fused attention 1.6 to 1.9 times below 4K and 3.7 times at 4K (X-GAP-1). Times here are slopes, without \
            submission and wait.",
    values: &["qmm_speedup", "sdpa_gain_long_over_short"],
    conclude,
};

/// The contexts that the claim compares.
const SHORT: usize = 64;
const LONG: usize = 4096;

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    products(&mut chapter, &data.rows::<operation::Kind>()?);
    attention(&mut chapter, data)?;
    Ok(chapter)
}

fn products(chapter: &mut Chapter, rows: &Rows<'_, Point, ProductTime>) {
    let with = |e: &Operation<'_>, path| rows.find(|p| *p == Point { path, ..e.point.clone() });
    let speedup = |e: &Operation<'_>| with(e, ProductPath::Dequantized)?.time_over(e);
    let waited = |e: &Operation<'_>| {
        let median = |row: &ProductTime| stats::median(&row.synchronised);
        with(e, ProductPath::Dequantized)?.ratio(median, e, median)
    };
    let shown = |r: Measured| format!("{:.2} [{:.2}, {:.2}]", r.value, r.lo, r.hi);
    let is_pair = |p: &Point| {
        let other = Point { path: ProductPath::Dequantized, ..p.clone() };
        p.path == ProductPath::Fused && rows.find(|q| *q == other).is_some()
    };
    let fused = rows.clone().filter(is_pair);
    let columns = [
        Column::text("matrix", |e| String::from(e.point.shape)),
        Column::text("format", |e| e.point.format.to_string()),
        Column::number("fused", |e| Some(number::si(e.seconds()?.value, "s"))),
        Column::number("dequantize, then multiply", |e| {
            Some(number::si(with(e, ProductPath::Dequantized)?.seconds()?.value, "s"))
        }),
        Column::number("speedup", |e| speedup(e).map(shown)),
        Column::number("speedup with a wait each", |e| waited(e).map(shown)),
    ];
    chapter.table(fused.table(
        "One vector. With a wait for each product, as the study timed it, the speedup is smaller.",
        &columns,
    ));
    for entry in &fused {
        let Some(other) = with(entry, ProductPath::Dequantized) else { continue };
        let Shape { rows, cols } = entry.point.shape;
        let what = format!("{} {rows}x{cols}", entry.point.format);
        chapter.value("qmm_speedup", what, speedup(entry), &entry.evidence().and(&other.evidence()));
    }
}

/// Seconds of the attention launches of one decode step, each isolated.
fn attention_s(row: &Profiled) -> Option<f64> {
    let own = row.launches.iter().filter(|l| belongs(l, &[Part::Attention]));
    Some(own.map(|l| l.count as f64 * l.seconds.value).sum::<f64>()).filter(|s| *s > 0.0)
}

fn attention(chapter: &mut Chapter, data: &Data<'_>) -> Result<(), Error> {
    let rows = data.rows::<launch::Kind>()?.filter(|p| p.tokens == 1);
    let fused_of = |e: &Launches<'_>| {
        let switches = ridgeline_model::Switches { attention: AttentionPath::Fused, ..e.point.switches };
        rows.find(|p| *p == launch::Point { switches, ..e.point.clone() })
    };
    let speedup = |e: &Launches<'_>| e.ratio(attention_s, fused_of(e)?, attention_s);
    let unfused = rows.clone().filter(|p| p.switches.attention == AttentionPath::Unfused);
    let axes = (
        Axis { title: "tokens in the KV cache".to_owned(), unit: String::new(), log: true },
        Axis { title: "unfused over fused time".to_owned(), unit: String::new(), log: false },
    );
    let point = |e: &Launches<'_>| Some((e.point.depth as f64, speedup(e)?));
    let caption = "Speedup of fused attention over scores, softmax and values as three kernels, by depth.";
    let series = |p: &launch::Point| crate::measures::title(&p.model, &p.format);
    let table = data.published().table("GAP-T5a").ok();
    chapter.lines(unfused.lines(caption, axes, series, point).published(table, "context", "speedup_x", 1.0));
    for long in unfused.iter().filter(|e| e.point.depth == LONG) {
        let Some(short) = unfused.find(|p| *p == launch::Point { depth: SHORT, ..long.point.clone() }) else {
            continue;
        };
        let gain = speedup(long).zip(speedup(short)).map(|(long, short)| long.over(short));
        chapter.value(
            "sdpa_gain_long_over_short",
            series(&long.point),
            gain,
            &long.evidence().and(&short.evidence()),
        );
    }
    Ok(())
}
