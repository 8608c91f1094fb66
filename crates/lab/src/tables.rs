//! Tables that commands and studies share: llama-bench's rows, and the launches of a forward pass.

use crate::measures::pass::Row;
use crate::measures::title;
use ridgeline_experiment::bench_table::BenchRow;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_measure::models::STORED;
use ridgeline_measure::profile::Profiled;
use ridgeline_roofline::Machine;

/// The row of llama-bench's table, without build, computer and time.
#[must_use]
pub(crate) fn described(model: &str, format: &str, row: &Row, machine: Option<&Machine>) -> BenchRow {
    let prediction = machine.map(|machine| row.pass.prediction(machine));
    let median = row.pass.median_s();
    BenchRow {
        gpu_info: row.adapter.clone(),
        backends: row.backend.clone(),
        model_filename: model.to_owned(),
        model_type: if format == STORED { model.to_owned() } else { title(model, &format.to_uppercase()) },
        model_size: row.pass.weight_bytes,
        model_n_params: row.pass.params,
        n_batch: row.batch as u64,
        n_ubatch: row.batch as u64,
        type_k: row.cache[0].clone(),
        type_v: row.cache[1].clone(),
        flash_attn: true,
        n_prompt: row.test.prompt as u64,
        n_gen: row.test.generate as u64,
        samples_ns: row.pass.samples_ns.clone(),
        mbu: prediction.as_ref().map(|p| p.mbu(median)),
        roof_fraction: prediction.as_ref().map(|p| p.roof_fraction(median)),
        bound: prediction.as_ref().map(|p| p.bound),
        ..BenchRow::default()
    }
}

/// One line per distinct launch of a forward pass. Without a machine the columns of the roof are empty.
pub(crate) fn launches(row: &Profiled, caption: String, machine: Option<&Machine>) -> Table {
    let columns = [
        ("launch", Align::Left),
        ("kernel", Align::Left),
        ("launches", Align::Right),
        ("time per launch", Align::Right),
        ("95 % interval", Align::Right),
        ("% of pass", Align::Right),
        ("bandwidth", Align::Right),
        ("FLOP/s", Align::Right),
        ("% of roof", Align::Right),
        ("bound", Align::Left),
    ];
    let mut table = Table::new(caption, columns);
    for launch in &row.launches {
        let prediction = machine.map(|m| launch.prediction(m));
        let seconds = launch.seconds;
        table.push([
            launch.role(),
            launch.kernel.clone(),
            launch.count.to_string(),
            number::si(seconds.value, "s"),
            number::si_range(seconds.lo, seconds.hi, "s"),
            number::percent(row.share(launch)),
            number::si(launch.rate(launch.cost.bytes()).value, "B/s"),
            number::si(launch.rate(launch.cost.flops).value, "FLOP/s"),
            prediction.map_or(String::new(), |p| number::percent(p.roof_fraction(seconds.value))),
            prediction.map_or(String::new(), |p| p.bound.to_string()),
        ]);
    }
    table
}
