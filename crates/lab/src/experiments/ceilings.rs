//! GAP-1 and RB-1: the ceilings of this device, compared with those that the studies published for theirs.

use ridgeline_experiment::experiment::{Context, Entry, Experiment, Measurement, RunError};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::{Align, Axis, Block, Line, Lines, Section, Table, number};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::probe::{self, Ceiling, MatVecRate, Probed, Quantity};
use ridgeline_roofline::{Curve, Machine, Measured};
use serde::{Deserialize, Serialize};

mod verdicts;

/// One group of ceilings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// The quantity measured.
    pub quantity: Quantity,
}

/// What was measured.
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

/// The machine model from records of this experiment; later records win. `None` where a ceiling is missing.
#[must_use]
pub(crate) fn machine(records: &[&Record]) -> Option<Machine> {
    let own = records.iter().filter(|r| r.experiment == Study::NAME);
    let rows = own.clone().filter_map(|r| serde_json::from_value::<Row>(r.row.clone()).ok());
    let ceilings: Vec<Ceiling> = rows.map(|row| row.ceiling).collect();
    probe::machine(&own.clone().next_back()?.machine.adapter, &ceilings)
}

/// Section of the bandwidth curves and the single ceilings.
fn measured(ceilings: &[&Ceiling]) -> Section {
    let mut section = Section::new(
        "Ceilings of this device",
        "Every number is a slope, the time of twice the work minus the time of the work, and uses the kernels and the \
         API calls of inference. A block is one such measurement. For a rate, the lower end of the interval is that of \
         the 95 % interval of the blocks' median, or the slowest of fewer than six blocks. The upper end estimates the \
         device's maximum: the best block plus its lead over the second best, at most 10 % above the best. For a cost, \
         the interval is the 95 % interval of the median, or the range of fewer than six blocks. The working set is the \
         memory that a kernel touches before it touches the same address again; a curve drops where a cache ends.",
    );
    let mut figure = Lines {
        caption: "Bandwidth against working-set size; reads and writes both count.".to_owned(),
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

/// Table of the single ceilings, and of the largest working set of each curve.
fn scalars(ceilings: &[&Ceiling]) -> Table {
    use Align::{Left, Right};
    let columns = [("ceiling", Left), ("value", Right), ("interval", Right), ("method", Left)];
    let mut table = Table::new("Single ceilings, and each curve at its largest working set.", columns);
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
                    format!("device timestamps give {} of this time", number::percent(r))
                });
                let variant = c.variants.last().map_or("", String::as_str);
                let name = format!("{name} at {}", number::bytes(largest.bytes));
                row(&name, largest.rate, "B/s", &format!("{variant}; {clock}"));
            }
            Ceiling::Flops(p) => {
                row("f32 peak", p.f32.rate, "FLOP/s", &p.f32.variant);
                if let Some(p) = &p.f16 {
                    row("f16 peak", p.rate, "FLOP/s", &p.variant);
                }
            }
            Ceiling::Overheads(o) => {
                let all = o.overheads;
                row("kernel launch", all.launch_s, "s", "slope of empty launches, encoding included");
                row("queue submission", all.submission_s, "s", "submitting an empty command buffer");
                row("synchronization", all.synchronisation_s, "s", "waiting for that submission");
                row("readback", all.readback_s, "s", "additional time to read back 4 bytes");
            }
            Ceiling::Matvec(m) => {
                for MatVecRate { format, streamed, synchronised, .. } in &m.products {
                    row(
                        &format!("mat-vec 8192², {format}"),
                        *streamed,
                        "B/s",
                        "back to back in one submission",
                    );
                    row(
                        &format!("mat-vec 8192², {format}, one submission each"),
                        *synchronised,
                        "B/s",
                        "one submission and one wait each",
                    );
                }
            }
        }
    }
    table
}
