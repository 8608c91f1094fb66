//! The last chapters of a report: the device and its ceilings, the methods, and the cells that did not end well.

use crate::measures::pass;
use ridgeline_experiment::Error;
use ridgeline_experiment::audit::{Audit, Pace};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::matrix::label;
use ridgeline_experiment::record::{MachineId, Record, Status};
use ridgeline_experiment::report::{Align, Block, Section, Table, number, tally};
use ridgeline_roofline::Measured;

/// Section of the device: its properties, main ceilings and number of cells.
pub(super) fn device(id: &MachineId, data: &Data<'_>, audit: &Audit, failures: &[&Record]) -> Section {
    let mut facts = Facts(Table::new("", [("device", Align::Left), ("value", Align::Left)]));
    facts.row("adapter", format!("{} ({})", id.adapter, id.device_type));
    facts.row("driver", format!("{}, {}", id.driver, id.backend));
    facts.row("features", id.features.join(", "));
    facts.row("computer", format!("{}, {} cores, {}", id.cpu, id.cores, number::bytes(id.memory_bytes)));
    facts.row("system", id.os.clone());
    ceilings(&mut facts, data);
    if let Some(noise) = data.noise() {
        let share = number::percent(noise);
        facts.row("noise floor", format!("{share} between two visits of one cell (standard deviation)"));
    }
    if let Some(pace) = audit.pace {
        facts.row("pace", pace_line(&pace));
    }
    let ok = data.cells().iter().map(|_| "ok");
    let statuses = ok.chain(failures.iter().map(|r| word(r.status)));
    let intro = format!(
        "Cells: {}. A cell whose newest record or its check failed is only in the list at the end of the report.",
        tally(statuses)
    );
    Section::new("Device and ceilings", intro).with(Block::Table(facts.0))
}

/// Rows of a property and its value; empty values are left out.
struct Facts(Table);

impl Facts {
    fn row(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.push([key.to_owned(), value]);
        }
    }
}

fn ceilings(facts: &mut Facts, data: &Data<'_>) {
    let Some(m) = data.machine() else { return };
    let rate =
        |r: Measured, unit| format!("{} [{}]", number::si(r.value, unit), number::si_range(r.lo, r.hi, unit));
    facts.row("bandwidth, memory", rate(m.bandwidth.memory(), "B/s"));
    facts.row("bandwidth, fastest working set", rate(m.bandwidth.fastest(), "B/s"));
    facts.row("f32 peak", rate(m.flops_f32, "FLOP/s"));
    facts.row("f16 peak", m.flops_f16.map_or("not supported".to_owned(), |r| rate(r, "FLOP/s")));
    facts.row("kernel launch", rate(m.overheads.launch_s, "s"));
    facts.row("queue submission", rate(m.overheads.submission_s, "s"));
    facts.row("synchronization", rate(m.overheads.synchronisation_s, "s"));
    facts.row("readback", rate(m.overheads.readback_s, "s"));
}

/// The pace of the machine over the run, in words.
fn pace_line(pace: &Pace) -> String {
    let Pace { n, slowest, fastest, .. } = pace;
    let change = |x: f64| format!("{:+.1} %", 100.0 * x);
    let trend = if pace.throttles() { "; its times rise, as under thermal throttling" } else { "" };
    format!(
        "the anchor deviated by {} to {} from its median in {n} measurements{trend}",
        change(*fastest),
        change(*slowest)
    )
}

/// Section of how the numbers are made.
pub(super) fn methods() -> Section {
    let texts = [
        "A cell is visited several times, spread over the run. Intervals are 95 % intervals of visits, by Student's t on \
         their logarithms with a variance that all cells share (Smyth 2004). For a ceiling, the upper end estimates the \
         device's maximum, at most 10 % above the best block.",
        "A claim holds where every interval lies inside the range of its test. It does not hold where one lies outside. An \
         interval across an end of the range, or a decision that Holm's correction does not support, is undecided.",
        "Controls compare equal work. Their error widens the intervals that decide claims. The anchor, a small cell that is \
         measured every 20 seconds, shows the pace of the machine.",
    ];
    texts
        .into_iter()
        .fold(Section::new("Methods", ""), |section, text| section.with(Block::Text(text.to_owned())))
}

/// Sections of the failed and of the skipped cells, with reasons.
pub(super) fn unfinished(records: &[&Record]) -> Vec<Section> {
    let mut sections = Vec::new();
    for (status, title, intro) in [
        (
            Status::Failed,
            "Failed cells",
            "These cells are in no table or figure above. The next run measures them again.",
        ),
        (Status::Skipped, "Skipped cells", "These do not run on this device or in this time."),
    ] {
        let mut table = Table::new("", [("cell", Align::Left), ("reason", Align::Left)]);
        for record in records.iter().filter(|r| r.status == status) {
            let reason = record.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
            table.push([label(&record.measure, &record.point), reason]);
        }
        if !table.rows.is_empty() {
            sections.push(Section::new(title, intro).with(Block::Table(table)));
        }
    }
    sections
}

/// Section of the cells that were measured with fewer layers than their model has.
///
/// # Errors
/// Where a record does not deserialize to the measure's types.
pub(super) fn cut(data: &Data<'_>) -> Result<Option<Section>, Error> {
    let mut table = Table::new("", [("cell", Align::Left), ("measured", Align::Left)]);
    for entry in &data.rows::<pass::Kind>()? {
        if let (Some(cut), Some(record)) = (entry.row.cut, entry.records.last()) {
            table.push([label(&record.measure, &record.point), cut.to_string()]);
        }
    }
    let intro = "A visit of all layers would have taken longer than a tenth of --max-time. Time and cost of the model are on the \
                 straight line through two numbers of layers, which differ by whole periods of unlike layers.";
    Ok((!table.rows.is_empty()).then(|| Section::new("Extrapolated cells", intro).with(Block::Table(table))))
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
    }
}
