//! How fast each model generates, and how fast it could at best under the measured ceilings.

use crate::measures::pass;
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::Align::{Left, Right};
use ridgeline_experiment::report::{Block, Section, Table, number};
use ridgeline_roofline::Measured;

/// Section with a row for each model and format: the rate measured, the rate at best, and what bounds it.
///
/// # Errors
/// Where a record does not deserialize to the measure's types.
pub(super) fn section(data: &Data<'_>) -> Result<Option<Section>, Error> {
    let Some(machine) = data.machine() else { return Ok(None) };
    let rows = data.rows::<pass::Kind>()?;
    // With another number of layers, the speed is that of no model.
    let rows = rows.filter(|p| p.is_default() && p.work.generated().is_some() && !p.model.contains('@'));
    // Of the cells of one model, the one with the shallowest context and then the longest generation counts.
    let rows = rows.sorted(|e| (e.point.depth, std::cmp::Reverse(e.point.work.tokens())));
    // The largest model of the run says most about the device.
    let rows = rows.sorted(|e| std::cmp::Reverse(e.row.pass.params));
    let mut table = Table::new(
        "",
        [
            ("model", Left),
            ("tokens/s", Right),
            ("95 % interval", Right),
            ("at best, tokens/s", Right),
            ("at best with today's launches", Right),
            ("% of roof", Right),
            ("bound", Left),
            ("depth", Right),
        ],
    );
    let mut known: Vec<String> = Vec::new();
    for entry in &rows {
        let name = title(&entry.point.model, &entry.point.format);
        let Some(seconds) = entry.seconds().filter(|_| !known.contains(&name)) else { continue };
        let tokens = entry.point.work.tokens() as f64;
        let prediction = entry.row.pass.prediction(machine);
        let (rate, best) = (seconds.map(|s| tokens / s), prediction.roof().map(|s| tokens / s));
        table.push([
            entry.row.cut.map_or_else(|| name.clone(), |cut| format!("{name}, from {cut}")),
            number::digits(rate.value, 4),
            format!("{} – {}", number::digits(rate.lo, 3), number::digits(rate.hi, 3)),
            with_interval(best),
            with_interval(prediction.explained().map(|s| tokens / s)),
            number::percent(prediction.roof_fraction(seconds.value)),
            prediction.bound.to_string(),
            entry.point.depth.to_string(),
        ]);
        known.push(name);
    }
    if table.rows.is_empty() {
        return Ok(None);
    }
    let intro = "Generation of one sequence, each model with the shallowest context that was measured. At best: its bytes and \
                 arithmetic at the device's ceilings.";
    Ok(Some(Section::new("Speed by model", intro).with(Block::Table(table))))
}

fn with_interval(rate: Measured) -> String {
    let digits = |x: f64| number::digits(x, 3);
    format!("{} [{}, {}]", digits(rate.value), digits(rate.lo), digits(rate.hi))
}
