//! How fast each model generates, and how fast it could at best under the measured ceilings.

use crate::measures::pass::{self, Pass, Work};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::Align::{Left, Right};
use ridgeline_experiment::report::{Block, Section, Table, number};
use ridgeline_measure::pass::PassTiming;
use ridgeline_roofline::{Machine, Measured};

/// Section with a row for each model and format: the rate measured, the rate at best, and what bounds it.
///
/// # Errors
/// Where a record does not deserialize to the measure's types.
pub(super) fn section(data: &Data<'_>) -> Result<Option<Section>, Error> {
    let Some(machine) = data.machine() else { return Ok(None) };
    let rows = data.rows::<pass::Kind>()?;
    let rows =
        rows.filter(|p| p.is_default() && matches!(p.work, Work::Test(_)) && p.work.generated().is_some());
    // Of the cells of one model, the one with the shallowest context and then the longest generation counts.
    let rows = rows.sorted(|e| (e.point.depth, std::cmp::Reverse(e.point.work.tokens())));
    let mut table = Table::new(
        "",
        [
            ("model", Left),
            ("tokens/s", Right),
            ("95 % interval", Right),
            ("at best, tokens/s", Right),
            ("% of roof", Right),
            ("bound", Left),
            ("depth", Right),
        ],
    );
    let mut known: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for entry in &rows {
        let name = title(&entry.point.model, &entry.point.format);
        let Some(seconds) = entry.seconds().filter(|_| !known.contains(&name)) else { continue };
        found.push((entry.row.pass.params, speed(&name, entry, machine, seconds)));
        known.push(name);
    }
    if found.is_empty() {
        return Ok(None);
    }
    // The largest model of the run says most about the device.
    found.sort_by_key(|it| std::cmp::Reverse(it.0));
    let intro = "Generation of one sequence, each model with the shallowest context that was measured.";
    let mut section = Section::new("Speed by model", intro);
    let sentences = found.iter().find_map(|(_, it)| it.sentences.clone());
    section.blocks.extend(sentences.map(Block::Text));
    found.into_iter().for_each(|(_, it)| table.push(it.row));
    Ok(Some(section.with(Block::Table(table))))
}

/// The speed of one model: its row, and its sentences where the cache was empty.
struct Speed {
    row: [String; 7],
    sentences: Option<String>,
}

fn speed(name: &str, entry: &Pass<'_>, machine: &Machine, seconds: Measured) -> Speed {
    let tokens = entry.point.work.tokens() as f64;
    let rate = seconds.map(|s| tokens / s);
    let (best, prediction) = (best(entry, machine), entry.row.pass.prediction(machine));
    let share = prediction.roof_fraction(seconds.value);
    let row = [
        name.to_owned(),
        number::digits(rate.value, 4),
        format!("{} – {}", number::digits(rate.lo, 3), number::digits(rate.hi, 3)),
        format!("{} [{}]", number::digits(best.value, 3), interval(best)),
        number::percent(share),
        prediction.bound.to_string(),
        entry.point.depth.to_string(),
    ];
    let sentences = (entry.point.depth == 0).then(|| sentences(name, rate, best, share));
    Speed { row, sentences }
}

/// Three sentences: the rate, the rate at best, and the share of it that is reached.
fn sentences(name: &str, rate: Measured, best: Measured, share: f64) -> String {
    format!(
        "{name} generates {} tokens/s [{}] on this device. The measured ceilings allow its bytes and arithmetic at best {} \
         tokens/s [{}]. It reaches {} of that.",
        number::digits(rate.value, 3),
        interval(rate),
        number::digits(best.value, 3),
        interval(best),
        number::percent(share)
    )
}

fn interval(rate: Measured) -> String {
    format!("{}, {}", number::digits(rate.lo, 3), number::digits(rate.hi, 3))
}

/// Tokens per second at the ceilings. The interval is between the slowest and the fastest ceilings of their intervals.
fn best(entry: &Pass<'_>, machine: &Machine) -> Measured {
    let tokens = entry.point.work.tokens() as f64;
    let prediction = entry.row.pass.prediction(machine);
    let slowest_s = slowest_roof_s(&entry.row.pass, machine).max(prediction.roof_s);
    Measured { value: tokens / prediction.roof_s, lo: tokens / slowest_s, hi: tokens / prediction.floor_s }
}

/// The roof in seconds at the lower ends of the ceilings' intervals.
fn slowest_roof_s(pass: &PassTiming, machine: &Machine) -> f64 {
    let (cost, regime) = (&pass.cost, pass.regime);
    let streamed = (cost.weights + cost.kv_read + cost.kv_write) as f64;
    let activations = (cost.activation_read + cost.activation_write) as f64;
    let memory_s = streamed / machine.bandwidth.at(regime.working_set).lo
        + activations / machine.bandwidth.at(regime.scratch).lo;
    memory_s.max(cost.flops as f64 / machine.peak(regime.precision).lo)
}
