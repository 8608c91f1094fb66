//! RB-9: Relative Inference Potential Φ against the headroom that it stands for.

use crate::measures::pass::{self, Column, Pass};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Evidence, Study};
use ridgeline_roofline::{Machine, Measured};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-9",
    title: "Relative Inference Potential",
    question: "Does a lower Φ mean a better use of the device?",
    about: "Φ is the distance of a run from the ridge (OI_r, π): √((OI_r − OI)² + (π − Perf)²) below the ridge, π − Perf above. It \
            adds FLOP/byte to FLOP/s, so that it depends on the unit (X-RB-11), and the study never tabulates it. Headroom is \
            min(π, OI · bandwidth) / Perf. Pairs are of runs on one side of the ridge whose headrooms differ beyond their intervals.",
    values: &["pairs_ordered_as_headroom", "pairs_ordered_as_headroom_log", "pairs_ordered_alike_by_units"],
    conclude,
};

/// A run as a point of the roofline, with its distances from the ridge.
struct Point {
    below_ridge: bool,
    headroom: Measured,
    /// With performance in GFLOP/s, and in TFLOP/s.
    phi: [f64; 2],
    /// Of logarithms, which have no unit.
    log: f64,
}

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<pass::Kind>()?.wanted_by(STUDY.id);
    let Some(machine) = data.machine() else { return Ok(chapter) };
    let show = |of: fn(&Point) -> f64| move |e: &Pass<'_>| Some(number::digits(of(&point(e, machine)?), 3));
    let columns = [
        Column::text("model", |e| title(&e.point.model, &e.point.format)),
        Column::text("work", |e| e.point.work.into()),
        Column::number("W/Q, FLOP/byte", |e| Some(number::digits(e.row.pass.cost.intensity()?, 3))),
        Column::number("headroom", show(|it| it.headroom.value)),
        Column::number("Φ, GFLOP/s", show(|it| it.phi[0])),
        Column::number("Φ, TFLOP/s", show(|it| it.phi[1])),
        Column::number("Φ of logarithms", show(|it| it.log)),
    ];
    chapter
        .table(rows.table("Distance from the ridge, and headroom: how much faster the roof is.", &columns));
    let points: Vec<Point> = rows.iter().filter_map(|e| point(e, machine)).collect();
    let evidence = rows.iter().fold(Evidence::default(), |all, e| all.and(&e.evidence()));
    let mut add = |name, share: Option<f64>| {
        chapter.counted(name, "all runs", share.map(Measured::exact), &evidence);
    };
    let headroom = |it: &Point| it.headroom.value;
    add("pairs_ordered_as_headroom", alike(&points, headroom, |it| it.phi[0]));
    add("pairs_ordered_as_headroom_log", alike(&points, headroom, |it| it.log));
    add("pairs_ordered_alike_by_units", alike(&points, |it| it.phi[0], |it| it.phi[1]));
    Ok(chapter)
}

fn point(entry: &Pass<'_>, machine: &Machine) -> Option<Point> {
    let (peak, bandwidth) = (machine.flops_f32.value, machine.bandwidth.memory().value);
    let (intensity, ridge) = (entry.row.pass.cost.intensity()?, peak / bandwidth);
    let performance = entry.seconds()?.map(|s| entry.row.pass.cost.flops as f64 / s);
    let roof = peak.min(intensity * bandwidth);
    let below_ridge = intensity < ridge;
    let away = if below_ridge { ridge - intensity } else { 0.0 };
    let phi = [1e9, 1e12].map(|unit| away.hypot((peak - performance.value) / unit));
    let away = if below_ridge { (ridge / intensity).ln() } else { 0.0 };
    let log = away.hypot((peak / performance.value).ln());
    Some(Point { below_ridge, headroom: performance.map(|it| roof / it), phi, log })
}

/// Share of pairs that two figures order alike, among pairs on one side of the ridge with clearly unlike headrooms.
fn alike(points: &[Point], a: impl Fn(&Point) -> f64, b: impl Fn(&Point) -> f64) -> Option<f64> {
    let clear = |x: &Point, y: &Point| x.headroom.hi < y.headroom.lo || y.headroom.hi < x.headroom.lo;
    let pairs = points.iter().enumerate().flat_map(|(i, x)| points[..i].iter().map(move |y| (x, y)));
    let orders = pairs.filter(|(x, y)| x.below_ridge == y.below_ridge && clear(x, y));
    let orders: Vec<bool> = orders.map(|(x, y)| (a(x) < a(y)) == (b(x) < b(y))).collect();
    let agree = orders.iter().filter(|it| **it).count();
    (!orders.is_empty()).then(|| agree as f64 / orders.len() as f64)
}
