//! GAP-1 and RB-1: what the device delivers at best, next to what the studies printed for theirs.

use ridgeline_measure::MeasureContext;
use ridgeline_measure::probe::{self, MatVecRate, Ceiling, Probed, Quantity};
use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::{Align, Axis, Block, Line, Lines, Section, Table, number};
use ridgeline_roofline::{Curve, Machine, Measured};
use serde::{Deserialize, Serialize};

mod verdicts;

/// One group of ceilings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Which.
    pub quantity: Quantity,
}

/// What was measured of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The ceilings.
    pub ceiling: Ceiling,
}

/// The experiment.
#[derive(Debug)]
pub(crate) struct Study;

impl Experiment<MeasureContext> for Study {
    const NAME: &'static str = "ceilings";
    type Point = Point;
    type Row = Row;

    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        cx.require_clock()?;
        let measured = probe::measure(&mut cx.device.borrow_mut(), point.quantity, budget);
        let Probed { ceiling, block_ns } = measured.map_err(RunError::failed)?;
        Ok(Measurement::new(Row { ceiling }, block_ns))
    }

    fn summarise(entries: &[Entry<'_, Point, Row>], context: &Context<'_>) -> Vec<Section> {
        if entries.is_empty() {
            return Vec::new();
        }
        let ceilings: Vec<&Ceiling> = entries.iter().map(|e| &e.row.ceiling).collect();
        let mut sections = vec![measured(&ceilings)];
        sections.extend(verdicts::throughput_gap(&ceilings, context.published));
        sections.extend(verdicts::rooflinebench(context.machine, context.published));
        sections
    }
}

/// The ceilings that records of this experiment make; `None` where some are missing. Later records count.
#[must_use]
pub(crate) fn machine(records: &[&Record]) -> Option<Machine> {
    let own = records.iter().filter(|r| r.experiment == Study::NAME);
    let rows = own.clone().filter_map(|r| serde_json::from_value::<Row>(r.row.clone()).ok());
    let ceilings: Vec<Ceiling> = rows.map(|row| row.ceiling).collect();
    probe::machine(&own.clone().next_back()?.machine.adapter, &ceilings)
}

/// The curves, and how each number was found.
fn measured(ceilings: &[&Ceiling]) -> Section {
    let mut section = Section::new(
        "Ceilings of this device",
        "Every number is a slope: the time of twice the work minus the time of the work, through the kernels and the \
         interface that inference uses. Blocks are spread over the measurement. A rate's interval goes from the \
         lower end of the 95 % interval of the blocks' median (below six blocks: the slowest) to an estimate of the \
         most that the device can do: beyond the best block by its lead over the second best, but at most by a tenth. \
         A cost's is the 95 % interval of the median (below six blocks: their range). A working set is what a kernel touches before it \
         touches it again, so that a curve steps down where a cache ends.",
    );
    let mut figure = Lines {
        caption: "Bandwidth against working-set size, every byte read and written counted once.".to_owned(),
        x: Axis { title: "working set".to_owned(), unit: "B".to_owned(), log: true },
        y: Axis { title: "bandwidth".to_owned(), unit: "B/s".to_owned(), log: true },
        lines: Vec::new(),
    };
    for ceiling in ceilings {
        match ceiling {
            Ceiling::Read(c) => figure.lines.push(line("read", &c.curve)),
            Ceiling::Copy(c) => figure.lines.push(line("copy", &c.curve)),
            Ceiling::Triad(c) => figure.lines.push(line("triad", &c.curve)),
            Ceiling::Flops(_) | Ceiling::Overheads(_) | Ceiling::Matvec(_) => {}
        }
    }
    if !figure.lines.is_empty() {
        section = section.with(Block::Lines(figure));
    }
    let table = scalars(ceilings);
    if table.rows.is_empty() { section } else { section.with(Block::Table(table)) }
}

fn line(label: &str, curve: &Curve) -> Line {
    let points = curve.samples().iter().map(|s| (s.bytes as f64, s.rate)).collect();
    Line { label: label.to_owned(), points, predicted: false }
}

/// Everything that is not a curve, and what qualifies the curves.
fn scalars(ceilings: &[&Ceiling]) -> Table {
    let mut table = Table::new(
        "Single ceilings, and what qualifies the curves.",
        [
            ("quantity", Align::Left),
            ("value", Align::Right),
            ("interval", Align::Right),
            ("how", Align::Left),
        ],
    );
    let mut row = |name: &str, m: Measured, unit: &str, how: &str| {
        let interval = number::si_range(m.lo, m.hi, unit);
        table.push([name.to_owned(), number::si(m.value, unit), interval, how.to_owned()]);
    };
    for ceiling in ceilings {
        match ceiling {
            Ceiling::Read(c) | Ceiling::Copy(c) | Ceiling::Triad(c) => {
                let name = match ceiling {
                    Ceiling::Read(_) => "read",
                    Ceiling::Copy(_) => "copy",
                    _ => "triad",
                };
                let Some(largest) = c.curve.samples().last() else { continue };
                let clock = c.timestamp_ratio.map_or("no plausible device timestamps".to_owned(), |r| {
                    format!("device timestamps say {} of this time", number::percent(r))
                });
                let variant = c.variants.last().map_or("", String::as_str);
                let name = format!("{name} at {}", number::bytes(largest.bytes));
                row(&name, largest.rate, "B/s", &format!("{variant}; {clock}"));
            }
            Ceiling::Flops(p) => {
                row("32-bit arithmetic", p.f32.rate, "FLOP/s", &p.f32.variant);
                if let Some(p) = &p.f16 {
                    row("16-bit arithmetic", p.rate, "FLOP/s", &p.variant);
                }
            }
            Ceiling::Overheads(o) => {
                let all = o.overheads;
                row("one more launch", all.launch_s, "s", "slope of empty launches, encoding included");
                row("submission", all.submission_s, "s", "the queue call, nothing in it");
                row("synchronisation", all.synchronisation_s, "s", "waiting for that submission");
                row("read-back", all.readback_s, "s", "what four bytes add");
            }
            Ceiling::Matvec(m) => {
                for MatVecRate { format, streamed, synchronised, .. } in &m.products {
                    row(&format!("8192² {format} × vector"), *streamed, "B/s", "one after another");
                    row(
                        &format!("8192² {format} × vector, synchronised"),
                        *synchronised,
                        "B/s",
                        "a submission and a wait each",
                    );
                }
            }
        }
    }
    table
}
