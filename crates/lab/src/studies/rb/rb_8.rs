//! RB-8: the ridges of several devices, and how far one model uses each.

use crate::measures::pass::{self, Pass};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::{Machine, Measured};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-8",
    title: "Ridges of several devices",
    question: "Do ridges differ so much that one model does not use all devices equally?",
    about: "The study plots the f32 ridge and runs f16 models. With its f16 peaks, the devices are in another order (X-RB-3). Here \
            the ridge is that of f32, and use is the share of the roof.",
    values: &["ridge_ratio", "utilization_ratio"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let Some(here) = data.machine() else { return Ok(chapter) };
    let own = data.rows::<pass::Kind>()?.wanted_by(STUDY.id);
    let columns = [
        ("device", Align::Left),
        ("ridge, FLOP/byte", Align::Right),
        ("model", Align::Left),
        ("% of roof", Align::Right),
    ];
    let mut table = Table::new("Each device's ridge, and how far one model's generation uses it.", columns);
    for (i, device) in data.devices().enumerate() {
        let Some(machine) = device.machine() else { continue };
        for (entry, twin) in data.shared::<pass::Kind>(device, STUDY.id)? {
            let Some((mine, use_)) = used(here, &entry).zip(used(machine, &twin)) else { continue };
            let model = title(&entry.point.model, &entry.point.format);
            table.push([
                machine.name.clone(),
                number::digits(ridge(machine).value, 3),
                model.clone(),
                number::percent(use_.value),
            ]);
            if i > 0 {
                let (what, evidence) = (format!("{model}, with {}", machine.name), entry.evidence());
                chapter.value("utilization_ratio", what, Some(apart(mine, use_)), &evidence);
            }
        }
        if let (true, Some(first)) = (i > 0, own.iter().next()) {
            let ratio = apart(ridge(here), ridge(machine));
            chapter.counted("ridge_ratio", format!("with {}", machine.name), Some(ratio), &first.evidence());
        }
    }
    // One device compares nothing.
    if data.devices().count() > 1 {
        chapter.table(table);
    }
    Ok(chapter)
}

/// FLOP per byte from which compute bounds the device.
fn ridge(machine: &Machine) -> Measured {
    machine.flops_f32.over(machine.bandwidth.memory())
}

/// Share of the roof that a cell reaches.
fn used(machine: &Machine, entry: &Pass<'_>) -> Option<Measured> {
    let roof_s = entry.row.pass.prediction(machine).roof_s;
    Some(entry.seconds()?.map(|s| roof_s / s))
}

/// The ratio of two values, the larger above.
fn apart(a: Measured, b: Measured) -> Measured {
    if a.value > b.value { a.over(b) } else { b.over(a) }
}
