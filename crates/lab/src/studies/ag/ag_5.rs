//! AG-5: generation on several devices, against their bandwidths.

use crate::measures::pass::{self, Pass};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::{Machine, Measured};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-5",
    title: "Bandwidth of several devices",
    question: "Do rates of generation grow in proportion to memory bandwidth from device to device?",
    about: "The study's payload of 12.07 is GiB, so that its bandwidth utilization is 68.7, 70.7 and 82.4 %: the faster the memory, \
            the lower (X-AG-10). Devices whose bandwidths differ by less than a fifth test nothing.",
    values: &["rate_ratio_over_bandwidth_ratio"],
    conclude,
};

/// Least ratio of two bandwidths.
const UNLIKE: f64 = 1.2;

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let columns = [
        ("device", Align::Left),
        ("bandwidth", Align::Right),
        ("model", Align::Left),
        ("tokens/s", Align::Right),
        ("% of bandwidth", Align::Right),
    ];
    let mut table = Table::new("Generation of one sequence on each device.", columns);
    for (i, device) in data.devices().enumerate() {
        let Some(machine) = device.machine() else { continue };
        for (entry, twin) in data.shared::<pass::Kind>(device, STUDY.id)? {
            if let Some(row) = row(machine, &twin) {
                table.push(row);
            }
            let ratio = data.machine().and_then(|here| compared((here, &entry), (machine, &twin)));
            if let Some(ratio) = ratio.filter(|_| i > 0) {
                let what =
                    format!("{}, with {}", title(&entry.point.model, &entry.point.format), machine.name);
                chapter.value("rate_ratio_over_bandwidth_ratio", what, Some(ratio), &entry.evidence());
            }
        }
    }
    // One device compares nothing.
    if data.devices().count() > 1 {
        chapter.table(table);
    }
    Ok(chapter)
}

fn row(machine: &Machine, entry: &Pass<'_>) -> Option<[String; 5]> {
    let (bandwidth, tokens) = (machine.bandwidth.memory().value, entry.point.work.tokens() as f64);
    let seconds = entry.seconds()?.value;
    Some([
        machine.name.clone(),
        number::si(bandwidth, "B/s"),
        title(&entry.point.model, &entry.point.format),
        number::digits(tokens / seconds, 3),
        number::percent(entry.row.pass.cost.bytes() as f64 / seconds / bandwidth),
    ])
}

/// Ratio of the rates over that of the bandwidths, the faster memory above; `None` where the memories are alike.
fn compared(a: (&Machine, &Pass<'_>), b: (&Machine, &Pass<'_>)) -> Option<Measured> {
    let bandwidth = |it: &Machine| it.bandwidth.memory();
    let (fast, slow) = if bandwidth(a.0).value > bandwidth(b.0).value { (a, b) } else { (b, a) };
    let memory = bandwidth(fast.0).over(bandwidth(slow.0));
    let rate = slow.1.seconds()?.over(fast.1.seconds()?);
    (memory.lo > UNLIKE).then(|| rate.over(memory))
}
