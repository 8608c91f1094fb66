//! GAP-10: time of a forward pass over n tokens, with logits of every position, compared with a pass over one token.
//!
//! The ratio is the cost of verifying drafted tokens; it shows at which batch size extra tokens stop being free.

use super::{load, title};
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::published::{Published, Row};
use ridgeline_experiment::report::{Align, Axis, Block, Line, Lines, Section, Table, number};
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::{Comparison, Verdict};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::pass::{Bench, PassTiming};
use ridgeline_model::SessionOptions;
use ridgeline_roofline::{Machine, Measured, Precision};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One batch size of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of the model.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// Batch size: tokens of one forward pass.
    pub tokens: usize,
    /// Tokens in the KV cache before the pass.
    pub depth: usize,
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<MeasureContext> for Study {
    const NAME: &'static str = "batch";
    type Point = Point;
    type Row = PassTiming;

    fn run(
        cx: &mut MeasureContext,
        point: &Point,
        budget: &Budget,
    ) -> Result<Measurement<PassTiming>, RunError> {
        cx.require_clock()?;
        let loaded = load(cx, &point.model, &point.format)?;
        // With logits for all rows in one recording, the batch is never split for a large vocabulary.
        let options = SessionOptions { logit_rows: point.tokens, ..SessionOptions::default() };
        let mut bench = Bench::new(cx, &loaded, point.depth, point.tokens, options)?;
        let pass = bench.verify(point.tokens, budget)?;
        pass.check(cx.machine.as_ref())?;
        let samples_ns = pass.samples_ns.clone();
        Ok(Measurement { row: pass, samples_ns, check: None, model: Some(loaded.id.clone()) })
    }

    fn summarise(entries: &[Entry<'_, Point, PassTiming>], context: &Context<'_>) -> Vec<Section> {
        let mut models: BTreeMap<String, Curve<'_>> = BTreeMap::new();
        for entry in entries {
            let name = format!("{} @ d{}", title(&entry.point.model, &entry.point.format), entry.point.depth);
            models.entry(name).or_default().insert(entry.point.tokens, entry);
        }
        if models.is_empty() {
            return Vec::new();
        }
        let intro = "T(n) is the time of one forward pass over n tokens. T(n)/T(1) is the cost of verifying n − 1 \
                     drafted tokens, relative to generating one. A ratio of 1 means that extra tokens are free; the \
                     study expects this for batch sizes below the ridge point.";
        let mut section =
            Section::new("Batch size (GAP-10)", intro).with(Block::Lines(figure(&models, context)));
        for (name, curve) in &models {
            section = section.with(Block::Table(table(name, curve, context)));
        }
        section = section.with(Block::Verdicts(verdicts(&models, context)));
        vec![section]
    }
}

/// Entries of one model by batch size.
type Curve<'a> = BTreeMap<usize, &'a Entry<'a, Point, PassTiming>>;

/// T(n)/T(1) with a bootstrap interval.
fn ratio(curve: &Curve<'_>, n: usize, seed: u64) -> Option<Measured> {
    let seconds = |n: usize| curve.get(&n).map(|e| stats::seconds(&e.record.samples_ns));
    stats::ratio_of_medians(&seconds(n)?, &seconds(1)?, seed)
}

fn figure(models: &BTreeMap<String, Curve<'_>>, context: &Context<'_>) -> Lines {
    let line = |(name, curve): (&String, &Curve<'_>)| {
        let point = |n: &usize| ratio(curve, *n, context.seed).map(|r| (*n as f64, r));
        Line { label: name.clone(), points: curve.keys().filter_map(point).collect(), predicted: false }
    };
    let mut lines: Vec<Line> = models.iter().map(line).collect();
    lines.extend(printed(context.published));
    Lines {
        caption: "Time of a forward pass over n tokens, relative to one token.".to_owned(),
        x: Axis { title: "batch size n, tokens".to_owned(), unit: String::new(), log: true },
        y: Axis { title: "T(n) / T(1)".to_owned(), unit: String::new(), log: true },
        lines,
    }
}

/// The study's table as a line.
fn printed(published: &Published) -> Option<Line> {
    let table = published.table("GAP-T10b").ok()?;
    let one = table.row_number("batch", 1.0)?.number("time_ms")?;
    let point = |row: &Row| Some((row.number("batch")?, Measured::exact(row.number("time_ms")? / one)));
    let label = format!("published: {}", table.device.as_deref().unwrap_or("the study's device"));
    Some(Line { label, points: table.rows.iter().filter_map(point).collect(), predicted: true })
}

fn table(name: &str, curve: &Curve<'_>, context: &Context<'_>) -> Table {
    let columns = ["batch size", "time, ms", "T(n)/T(1)", "95 % interval", "tokens/s", "% of roof", "bound"];
    let mut table = Table::new(name, columns.map(|title| (title, Align::Right)));
    for (&n, entry) in curve {
        let median = entry.row.median_s();
        let prediction = context.machine.map(|machine| entry.row.prediction(machine));
        let ratio = ratio(curve, n, context.seed);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.push([
            n.to_string(),
            number::digits(median * 1e3, 4),
            or_dash(ratio.map(|r| format!("{:.2}", r.value))),
            or_dash(ratio.map(|r| format!("{:.2} – {:.2}", r.lo, r.hi))),
            number::digits(n as f64 / median, 4),
            or_dash(prediction.map(|p| number::percent(p.roof_fraction(median)))),
            or_dash(prediction.map(|p| p.bound.to_string())),
        ]);
    }
    table
}

/// GAP-C10 for every model; "nearly free" is tested as T(4)/T(1) < 1.15.
fn verdicts(models: &BTreeMap<String, Curve<'_>>, context: &Context<'_>) -> Vec<Verdict> {
    const FREE: f64 = 1.15;
    let Ok(claim) = context.published.claim("GAP-C10") else { return Vec::new() };
    let decide = |(name, curve): (&String, &Curve<'_>)| {
        let here = |r: Measured| format!("{name}: T(4)/T(1) = {:.2} [{:.2}, {:.2}]", r.value, r.lo, r.hi);
        let verdict = match ratio(curve, 4, context.seed) {
            Some(r) => {
                Verdict::decide(claim, here(r), &[Comparison::below("T(4)/T(1)", r, FREE).of(samples(curve))])
            }
            None => Verdict::cannot(claim, format!("{name}: batch sizes 1 and 4 were not both measured")),
        };
        verdict.recomputed(recomputed(context.published, context.machine, curve))
    };
    models.iter().map(decide).collect()
}

/// The smaller number of samples of the ratio's two times.
fn samples(curve: &Curve<'_>) -> usize {
    [1, 4].iter().filter_map(|n| curve.get(n)).map(|e| e.record.samples_ns.len()).min().unwrap_or(0)
}

/// The ratio in the study's own table, and the study's formula for the ridge batch size with this device's ceilings.
fn recomputed(published: &Published, machine: Option<&Machine>, curve: &Curve<'_>) -> String {
    let time = |n: f64| published.table("GAP-T10b").ok()?.row_number("batch", n)?.number("time_ms");
    let printed = match (time(1.0), time(4.0)) {
        (Some(one), Some(four)) => format!("the study's own table gives T(4)/T(1) = {:.2}", four / one),
        _ => "the study's table has no rows for 1 and 4 tokens".to_owned(),
    };
    let ridge = machine.zip(curve.get(&1)).and_then(|(machine, one)| {
        let set = one.row.regime.working_set;
        Some(machine.ridge(set, Precision::Fastest) / one.row.cost.intensity()?)
    });
    match ridge {
        Some(batch) => format!(
            "{printed}; ridge over intensity on this device predicts free tokens below a batch size of {batch:.1}"
        ),
        None => printed,
    }
}
