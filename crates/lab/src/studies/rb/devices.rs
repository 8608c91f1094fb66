//! The devices of the study with their ridge points, as published and recomputed, and this device.

use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Row;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_roofline::Measured;

/// Memory streams of `c = a + b` over those that the study counted (X-RB-2).
const STREAMS: f64 = 3.0 / 2.0;

/// The study's five devices, as published and recomputed, and this device.
pub(super) fn devices(data: &Data<'_>) -> Result<Table, Error> {
    let devices = data.published().table("RB-T1")?;
    let ridges = data.published().table("RB-T1b")?;
    let columns = [
        ("device", Align::Left),
        ("bandwidth, published", Align::Right),
        ("bandwidth, recomputed", Align::Right),
        ("% of datasheet", Align::Right),
        ("f32 peak", Align::Right),
        ("f16 peak", Align::Right),
        ("ridge, published", Align::Right),
        ("ridge, f32", Align::Right),
        ("ridge, f16", Align::Right),
    ];
    let caption = "Ceilings of the study's devices and of this one. Ridge points are in FLOP/byte; f32 and f16 use the recomputed bandwidth.";
    let mut table = Table::new(caption, columns);
    for row in &devices.rows {
        let Some(device) = Device::of(row) else { continue };
        let printed = ridges.row("chip", device.chip).and_then(|r| r.number("ridge_meas"));
        table.push(device.cells(printed));
    }
    if let Some(m) = data.machine() {
        let bandwidth = m.bandwidth.memory().value;
        let peak = |p: Measured| (number::si(p.value, "FLOP/s"), number::digits(p.value / bandwidth, 3));
        let (f32, ridge32) = peak(m.flops_f32);
        let (f16, ridge16) = m.flops_f16.map_or(("–".to_owned(), "–".to_owned()), peak);
        let here = number::si(bandwidth, "B/s");
        let name = format!("this device: {}", m.name);
        let none = String::new;
        table.push([name, none(), here, none(), f32, f16, none(), ridge32, ridge16]);
    }
    Ok(table)
}

/// One device of the study; rates in bytes/s and FLOP/s.
struct Device<'a> {
    chip: &'a str,
    specified: f64,
    printed: f64,
    bandwidth: f64,
    f32: Option<f64>,
    f16: Option<f64>,
}

impl<'a> Device<'a> {
    fn of(row: &'a Row) -> Option<Self> {
        let printed = row.number("bw_meas")? * 1e9;
        let unit = if row.text("compute_unit") == Some("GFLOPS") { 1e9 } else { 1e12 };
        let flops = |column| row.number(column).map(|f| f * unit);
        Some(Self {
            chip: row.text("chip")?,
            specified: row.number("bw_theo")? * 1e9,
            printed,
            bandwidth: printed * STREAMS,
            f32: flops("fp32_meas"),
            f16: flops("fp16_meas"),
        })
    }

    fn cells(&self, ridge_printed: Option<f64>) -> [String; 9] {
        let flops = |f: Option<f64>| f.map_or("–".to_owned(), |f| number::si(f, "FLOP/s"));
        let ridge = |f: Option<f64>| f.map_or("–".to_owned(), |f| number::digits(f / self.bandwidth, 3));
        [
            self.chip.to_owned(),
            number::si(self.printed, "B/s"),
            number::si(self.bandwidth, "B/s"),
            number::percent(self.bandwidth / self.specified),
            flops(self.f32),
            flops(self.f16),
            ridge_printed.map_or("–".to_owned(), |r| number::digits(r, 4)),
            ridge(self.f32),
            ridge(self.f16),
        ]
    }
}
