//! Every kernel launch of a forward pass, timed in isolation and compared with its own roof.
//!
//! The launches are those that the model records. Each distinct one is repeated over the same buffers and timed by
//! slope, so that its working set is its own bytes. In a forward pass fewer of these bytes are cached.

use super::{load, title};
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::report::{Align, Block, Dot, Roofline, Section, Table, number};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::profile::{Profiled, TimedLaunch, profile};
use ridgeline_model::SessionOptions;
use ridgeline_roofline::Machine;
use serde::{Deserialize, Serialize};

/// One forward pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Name of the model.
    pub model: String,
    /// Quantization type or mix of its matrices, or `stored`.
    pub format: String,
    /// Batch size: tokens of the forward pass.
    pub tokens: usize,
    /// Tokens in the KV cache before the pass.
    pub depth: usize,
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<MeasureContext> for Study {
    const NAME: &'static str = "kernels";
    type Point = Point;
    type Row = Profiled;

    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Profiled>, RunError> {
        cx.require_clock()?;
        let loaded = load(cx, &point.model, &point.format)?;
        let profile = profile(cx, &loaded, (point.depth, point.tokens), SessionOptions::default(), budget)?;
        let (row, block_ns) = (profile.row, profile.block_ns);
        let check = cx.machine.as_ref().map(|machine| row.check(machine));
        Ok(Measurement { row, samples_ns: block_ns, check, model: Some(loaded.id.clone()) })
    }

    fn summarise(entries: &[Entry<'_, Point, Profiled>], context: &Context<'_>) -> Vec<Section> {
        if entries.is_empty() {
            return Vec::new();
        }
        let intro = "Each distinct kernel launch of a forward pass, timed in isolation: it is repeated over the same \
                     buffers, and its time is the slope over the number of repetitions. The time includes the launch \
                     overhead. The % of the pass is relative to the sum over all launches.";
        let mut section = Section::new("Kernels", intro);
        if let Some(machine) = context.machine {
            let dots = entries.iter().flat_map(|e| dots(&e.point, &e.row, machine)).collect();
            let caption = "Kernels that take at least 5 % of their forward pass.".to_owned();
            let figure = Roofline { caption, dots, ..Roofline::default() };
            section = section.with(Block::Roofline(figure));
        }
        for entry in entries {
            let Point { model, format, tokens, depth } = &entry.point;
            let name = title(model, format);
            let total = number::si(entry.row.total_s(), "s");
            let caption = format!("{name}, batch size {tokens} at depth {depth}: {total} in all launches.");
            section = section.with(Block::Table(table(&entry.row, caption, context.machine)));
        }
        vec![section]
    }
}

/// One line per distinct launch of a forward pass. Without a machine the columns of the roof are empty.
pub(crate) fn table(row: &Profiled, caption: String, machine: Option<&Machine>) -> Table {
    let columns = [
        ("kernel", Align::Left),
        ("launches", Align::Right),
        ("time per launch", Align::Right),
        ("95 % interval", Align::Right),
        ("% of pass", Align::Right),
        ("bandwidth", Align::Right),
        ("FLOP/s", Align::Right),
        ("% of roof", Align::Right),
        ("bound", Align::Left),
    ];
    let mut table = Table::new(caption, columns);
    for launch in &row.launches {
        let prediction = machine.map(|m| launch.prediction(m));
        let seconds = launch.seconds;
        table.push([
            launch.label(),
            launch.count.to_string(),
            number::si(seconds.value, "s"),
            number::si_range(seconds.lo, seconds.hi, "s"),
            number::percent(row.share(launch)),
            number::si(launch.rate(launch.cost.bytes()).value, "B/s"),
            number::si(launch.rate(launch.cost.flops).value, "FLOP/s"),
            prediction.map_or(String::new(), |p| number::percent(p.roof_fraction(seconds.value))),
            prediction.map_or(String::new(), |p| p.bound.to_string()),
        ]);
    }
    table
}

fn dots(point: &Point, row: &Profiled, machine: &Machine) -> Vec<Dot> {
    let large = row.launches.iter().filter(|l| row.share(l) >= 0.05 && l.cost.flops > 0);
    let dot = |launch: &TimedLaunch| {
        let prediction = launch.prediction(machine);
        Some(Dot {
            label: format!(
                "{} of {}, batch size {}",
                launch.label(),
                title(&point.model, &point.format),
                point.tokens
            ),
            group: launch.kernel.clone(),
            intensity: launch.cost.intensity()?,
            flops_per_s: launch.rate(launch.cost.flops),
            bound: Some(prediction.bound),
            roof_fraction: Some(prediction.roof_fraction(launch.seconds.value)),
        })
    };
    large.filter_map(dot).collect()
}
