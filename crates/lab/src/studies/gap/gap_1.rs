//! GAP-1: the bandwidth that the device delivers to a copy, to a mat-vec and to a quantized mat-vec.

use super::operations::{Operations, is_four_bit};
use crate::measures::ceilings::{self, joined};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Axis, Line, Lines, Table, number};
use ridgeline_experiment::study::{Chapter, Evidence, Study};
use ridgeline_measure::probe::{Ceiling, MatVecRate};
use ridgeline_quant::Format;
use ridgeline_roofline::{Curve, Measured};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-1",
    title: "Bandwidth delivered",
    question: "What bandwidth does the device deliver, and does it fall from a copy to a mat-vec to a quantized mat-vec?",
    about: "The study waits after every operation. Its quantized mat-vec takes no longer than one such wait, so that the \
            difference that it attributes to dequantization is the cost of waiting (X-GAP-1).",
    values: &[
        "copy_over_matvec_f32",
        "matvec_f32_over_matvec_q4",
        "copy_over_matvec_f32_streamed",
        "matvec_f32_over_matvec_q4_streamed",
    ],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let ceilings = joined(data)?;
    chapter.lines(curves(&ceilings));
    let operations = Operations::of(&ceilings);
    chapter.table(compared(&operations, data));
    let rows = data.rows::<ceilings::Kind>()?;
    let evidence = rows.iter().fold(Evidence::default(), |all, e| all.and(&e.evidence()));
    let Operations { copy, .. } = operations;
    let (plain, four_bit) = (operations.plain(), operations.four_bit());
    let over = |a: Option<Measured>, b: Option<Measured>| Some(a?.over(b?));
    let streamed = |p: Option<&MatVecRate>| p.map(|p| p.streamed);
    let waited = |p: Option<&MatVecRate>| p.map(|p| p.synchronised);
    let copied = copy.map(|c| c.streamed);
    for (name, ratio) in [
        ("copy_over_matvec_f32", over(copy.and_then(|c| c.synchronised), waited(plain))),
        ("matvec_f32_over_matvec_q4", over(waited(plain), waited(four_bit))),
        ("copy_over_matvec_f32_streamed", over(copied, streamed(plain))),
        ("matvec_f32_over_matvec_q4_streamed", over(streamed(plain), streamed(four_bit))),
    ] {
        chapter.value(name, "", ratio, &evidence);
    }
    Ok(chapter)
}

/// The three operations beside the published figures.
fn compared(operations: &Operations<'_>, data: &Data<'_>) -> Table {
    let rate =
        |m: Measured| format!("{} [{}]", number::si(m.value, "B/s"), number::si_range(m.lo, m.hi, "B/s"));
    let columns =
        ["operation", "published, M3 Ultra", "measured, back to back", "measured, one submission each"];
    let caption = "Bandwidth of a copy and of mat-vecs. The published figures wait after every operation. For the copy, \
                   the measured costs of a submission and a wait are added to its time.";
    let mut table = Table::new(caption, columns.map(|c| (c, Align::Left)));
    let printed = |i: usize| {
        let rows = data.published().table("GAP-T1").ok().map(|t| t.rows.as_slice()).unwrap_or_default();
        rows.get(i).and_then(|r| r.number("bandwidth")).map_or(String::new(), |v| format!("{v} GB/s"))
    };
    if let Some(copy) = operations.copy {
        let waited = copy.synchronised.map_or(String::new(), rate);
        table.push(["copy at the largest working set".to_owned(), printed(0), rate(copy.streamed), waited]);
    }
    for p in operations.products {
        let published = match p {
            p if p.format == Format::SINGLE.to_string() => printed(1),
            p if is_four_bit(p) => format!("{} (4-bit)", printed(2)),
            _ => String::new(),
        };
        table.push([
            format!("mat-vec 8192², {}", p.format),
            published,
            rate(p.streamed),
            rate(p.synchronised),
        ]);
    }
    table
}

/// Bandwidth against working-set size.
fn curves(ceilings: &[Ceiling]) -> Lines {
    let line = |label: &str, curve: &Curve| {
        let points = curve.samples().iter().map(|s| (s.bytes as f64, s.rate)).collect();
        Line { label: label.to_owned(), points, predicted: false }
    };
    let of = |ceiling: &Ceiling| match ceiling {
        Ceiling::Read(c) => Some(line("read", &c.curve)),
        Ceiling::Copy(c) => Some(line("copy", &c.curve)),
        Ceiling::Triad(c) => Some(line("triad", &c.curve)),
        Ceiling::Flops(_) | Ceiling::Overheads(_) | Ceiling::Matvec(_) => None,
    };
    Lines {
        caption: "Bandwidth against working-set size; reads and writes both count. The working set is the memory that a \
                  kernel touches before it touches the same address again; a curve drops where a cache ends."
            .to_owned(),
        x: Axis { title: "working set".to_owned(), unit: "B".to_owned(), log: true },
        y: Axis { title: "bandwidth".to_owned(), unit: "B/s".to_owned(), log: true },
        lines: ceilings.iter().filter_map(of).collect(),
    }
}
