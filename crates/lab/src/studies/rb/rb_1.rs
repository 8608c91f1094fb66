//! RB-1: the ceilings of this device and of the study's devices, with the ridge of each precision.

use super::devices::devices;
use crate::measures::ceilings::joined;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::probe::{Ceiling, MatVecRate};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-1",
    title: "Device ceilings",
    question: "What are the ceilings of this device, and where is the ridge of each precision?",
    about: "The study times c = a + b and counts two of its three memory streams, so that its bandwidth is too low by a \
            factor of 1.5 (X-RB-2). It computes the ridge from the f32 peak but compares f16 inference with it (X-RB-3). The \
            recomputed columns correct both.",
    values: &[],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let ceilings = joined(data)?;
    if ceilings.is_empty() {
        return Ok(chapter);
    }
    chapter.table(scalars(&ceilings));
    chapter.table(devices(data)?);
    Ok(chapter)
}

/// Table of the single ceilings, and of the largest working set of each curve.
fn scalars(ceilings: &[Ceiling]) -> Table {
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
                let variant = kernels(c.variants.last().map_or("", String::as_str));
                let name = format!("{name} at {}", number::bytes(largest.bytes));
                row(&name, largest.rate, "B/s", &format!("{variant}; {clock}"));
            }
            Ceiling::Flops(p) => {
                row("f32 peak", p.f32.rate, "FLOP/s", &format!("the best of {}", kernels(&p.f32.variant)));
                if let Some(p) = &p.f16 {
                    row("f16 peak", p.rate, "FLOP/s", &format!("the best of {}", kernels(&p.variant)));
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

/// The distinct kernels of a list of variants: `Rows(MatVecRows { … }) …; Copy { … }` gives `mat_vec_rows, copy`.
fn kernels(variants: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    for variant in variants.split("; ") {
        let outer = variant.split(" {").next().unwrap_or(variant);
        let mut name = String::new();
        for c in outer.rsplit('(').next().unwrap_or(outer).chars() {
            if c.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.extend(c.to_lowercase());
        }
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
