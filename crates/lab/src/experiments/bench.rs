//! Prompt processing and text generation at a depth, as llama-bench measures them, compared with the device's ceilings.

use super::{load, title};
use ridgeline_experiment::bench_table::{self, BenchRow};
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::report::{Bar, Block, Dot, Roofline, Section, Waterfalls};
use ridgeline_experiment::stats;
use ridgeline_measure::MeasureContext;
use ridgeline_measure::models::STORED;
use ridgeline_measure::pass::{Bench, PassTiming, Test};
use ridgeline_model::SessionOptions;
use ridgeline_roofline::Machine;
use serde::{Deserialize, Serialize};

/// One llama-bench test of one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of the model.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// `pp128`, `tg64`, …
    pub test: String,
    /// Tokens in the KV cache before the test.
    pub depth: usize,
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The measurement and its cost.
    pub pass: PassTiming,
    /// Prompt and generated tokens of one repetition.
    pub test: Test,
    /// The device's graphics API.
    pub backend: String,
    /// The device.
    pub adapter: String,
    /// Data types of keys and values in the KV cache.
    pub cache: [String; 2],
    /// Largest batch of one recording, tokens.
    pub batch: usize,
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<MeasureContext> for Study {
    const NAME: &'static str = "bench";
    type Point = Point;
    type Row = Row;

    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        let test: Test = point.test.parse()?;
        let loaded = load(cx, &point.model, &point.format)?;
        let options = SessionOptions::default();
        let mut bench = Bench::new(cx, &loaded, point.depth, test.prompt + test.generate, options)?;
        let mut pass = bench.test(test, budget)?;
        pass.check(cx.machine.as_ref())?;
        if test.prompt == 0 {
            bench.time_kernels(&mut pass, test.generate, &KERNELS)?;
        }
        let (backend, adapter) = cx.names();
        let (cache, batch) = (options.cache.map(|it| it.spec().name.to_owned()), options.batch);
        let samples_ns = pass.samples_ns.clone();
        let row = Row { pass, test, backend, adapter, cache, batch };
        Ok(Measurement { row, samples_ns, check: None, model: Some(loaded.id.clone()) })
    }

    fn summarise(entries: &[Entry<'_, Point, Row>], context: &Context<'_>) -> Vec<Section> {
        let intro = "Tokens per second as llama-bench reports them: mean ± standard deviation, with Student's 95 % \
                     interval. % BW is the share of this device's measured bandwidth, % roof the share of its \
                     roofline at the test's intensity. Models with random weights are marked in the list of models. \
                     Their KV caches are not computed before a test at a depth, because time does not depend on values.";
        let rows: Vec<BenchRow> = entries.iter().map(|entry| bench_row(entry, context.machine)).collect();
        let mut section = Section::new("Prompt processing and text generation", intro)
            .with(Block::Table(bench_table::table("", &rows)));
        if let Some(machine) = context.machine {
            let waterfalls = waterfalls(entries, machine);
            for (entry, bar) in decode(entries).zip(&waterfalls.bars) {
                if entry.point.depth == 0 {
                    section = section.with(Block::Text(bar.sentences()));
                }
            }
            section = section.with(Block::Waterfalls(waterfalls));
            section = section.with(Block::Roofline(roofline(entries, machine)));
        }
        vec![section]
    }
}

/// Repetitions for the isolated timing of a decode step's kernels.
const KERNELS: Budget = Budget { warmup: 0, min_reps: 9, max_reps: 60, budget_s: 4.0 };

/// The row of llama-bench's table.
#[must_use]
pub(crate) fn bench_row(entry: &Entry<'_, Point, Row>, machine: Option<&Machine>) -> BenchRow {
    let Entry { point, row, record } = entry;
    let mut bench = described(&point.model, &point.format, row, machine);
    bench.build_commit = record.build.git_rev.clone().unwrap_or_else(|| "unknown".to_owned());
    bench.cpu_info.clone_from(&record.machine.cpu);
    bench.test_time.clone_from(&record.started_utc);
    bench.n_depth = point.depth as u64;
    bench.samples_ns.clone_from(&record.samples_ns);
    bench
}

/// The fields of a row that need no journal record.
#[must_use]
pub(crate) fn described(model: &str, format: &str, row: &Row, machine: Option<&Machine>) -> BenchRow {
    let prediction = machine.map(|machine| row.pass.prediction(machine));
    let median = row.pass.median_s();
    BenchRow {
        gpu_info: row.adapter.clone(),
        backends: row.backend.clone(),
        model_filename: model.to_owned(),
        model_type: if format == STORED { model.to_owned() } else { title(model, &format.to_uppercase()) },
        model_size: row.pass.weight_bytes,
        model_n_params: row.pass.params,
        n_batch: row.batch as u64,
        n_ubatch: row.batch as u64,
        type_k: row.cache[0].clone(),
        type_v: row.cache[1].clone(),
        flash_attn: true,
        n_prompt: row.test.prompt as u64,
        n_gen: row.test.generate as u64,
        samples_ns: row.pass.samples_ns.clone(),
        mbu: prediction.as_ref().map(|p| p.mbu(median)),
        roof_fraction: prediction.as_ref().map(|p| p.roof_fraction(median)),
        bound: prediction.as_ref().map(|p| p.bound),
        ..BenchRow::default()
    }
}

fn label(point: &Point) -> String {
    let depth = if point.depth > 0 { format!(" @ d{}", point.depth) } else { String::new() };
    format!("{} {}{depth}", title(&point.model, &point.format), point.test)
}

/// The entries of text generation.
fn decode<'a>(entries: &'a [Entry<'a, Point, Row>]) -> impl Iterator<Item = &'a Entry<'a, Point, Row>> {
    entries.iter().filter(|e| e.row.test.prompt == 0)
}

/// A bar for each of [`decode`]'s entries, in their order.
fn waterfalls(entries: &[Entry<'_, Point, Row>], machine: &Machine) -> Waterfalls {
    let bar = |e: &Entry<'_, Point, Row>| {
        // One decode step: time and cost of a repetition, divided by its tokens.
        let parts = e.row.pass.waterfall(machine, e.row.test.generate as u64);
        Bar { label: label(&e.point), parts }
    };
    let caption =
        "Time of one decode step by cause. Weights, KV cache and activations: their bytes at the measured \
                   bandwidth. Exposed compute: arithmetic time beyond the memory time. Launches, submission and host: \
                   their measured costs. Kernel inefficiency: time of the isolated kernels in excess of their roofs. \
                   In-sequence penalty: additional time of the kernels back to back. Unexplained: the remainder."
            .to_owned();
    Waterfalls { caption, bars: decode(entries).map(bar).collect() }
}

fn roofline(entries: &[Entry<'_, Point, Row>], machine: &Machine) -> Roofline {
    let dot = |e: &Entry<'_, Point, Row>| {
        let seconds = stats::median_interval(&stats::seconds(&e.record.samples_ns))?;
        let flops = e.row.pass.cost.flops as f64;
        let prediction = e.row.pass.prediction(machine);
        Some(Dot {
            label: label(&e.point),
            group: if e.row.test.prompt > 0 { "prompt" } else { "generation" }.to_owned(),
            intensity: e.row.pass.cost.intensity()?,
            flops_per_s: ridgeline_roofline::Measured {
                value: flops / seconds.value,
                lo: flops / seconds.hi,
                hi: flops / seconds.lo,
            },
            bound: Some(prediction.bound),
            roof_fraction: Some(prediction.roof_fraction(seconds.value)),
        })
    };
    let caption = "Every cell on this device's roofline, from counted bytes and FLOP.".to_owned();
    Roofline { caption, dots: entries.iter().filter_map(dot).collect(), ..Roofline::default() }
}
