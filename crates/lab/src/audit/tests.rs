//! The audit on synthetic records: each contradiction is found, and a sound run has none.

use super::audit;
use crate::synthetic::{launches, pass, product, visit};
use ridgeline_experiment::audit::Audit;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Record, utc};
use ridgeline_roofline::{Cost, Machine, Measured};
use serde_json::{Value, json};

/// A device of 10 GB/s and 1 TFLOP/s, on which an empty launch takes 60 µs.
fn machine() -> Machine {
    let mut machine = Machine::flat("here", 10e9, 1e12).expect("positive");
    machine.overheads.launch_s = Measured { value: 60e-6, lo: 50e-6, hi: 70e-6 };
    machine
}

fn audited(records: &[Record], anchor: Option<&str>) -> Audit {
    let (machine, published) = (machine(), Published::default());
    audit(&Data::new(records, Some(&machine), &published), anchor).expect("they deserialize")
}

fn decode(depth: u64) -> Value {
    json!({ "model": "m", "format": "f16", "work": "tg8", "depth": depth })
}

/// A cost whose bytes take a millisecond at 10 GB/s.
fn cost() -> Cost {
    Cost { weights: 10_000_000, launches: 8, ..Cost::ZERO }
}

#[test]
fn a_sound_run_has_no_contradiction() {
    let records = [pass(&decode(0), 0.01, cost()), pass(&decode(256), 0.012, cost())].concat();
    let Audit { machine: found, faults, control, pace } = audited(&records, None);
    assert!(faults.is_empty() && control == 0.0 && pace.is_none(), "{faults:?}");
    assert_eq!(found, Some(machine()));
}

#[test]
fn no_launch_costs_more_than_a_whole_kernel() {
    let point = json!({ "model": "m", "format": "f16", "tokens": 1, "depth": 0 });
    let found = audited(&launches(&point, &[("rope", 30e-6), ("qkv", 90e-6)]), None);
    let cost = found.machine.expect("the ceilings").overheads.launch_s;
    assert!((cost.value - 30e-6).abs() < 1e-9 && cost.lo == 0.0, "{cost:?}");
    assert_eq!(found.faults.len(), 1);
    let fault = &found.faults[0];
    assert!(fault.sentence.contains("60.0 µs") && fault.sentence.contains("rope"), "{}", fault.sentence);
    assert_eq!(fault.cells, [format!("launch {point}")]);
    let slow = audited(&launches(&point, &[("rope", 80e-6)]), None);
    assert!(slow.faults.is_empty() && slow.machine == Some(machine()));
}

#[test]
fn a_faster_product_raises_its_ceiling() {
    let point = json!({ "shape": "4096x4096", "format": "Q8_0", "vectors": 1, "path": "fused" });
    // 16 MB in a millisecond are 16 GB/s, on a device of 10.
    let found = audited(&product(&point, 1e-3, 16_000_000), None);
    assert!(found.faults[0].sentence.contains("16.0 GB/s"), "{:?}", found.faults);
    let upper = found.machine.expect("the ceilings").bandwidth.upper(16_000_000);
    assert!(upper > 15.9e9, "{upper}");
    assert!(audited(&product(&point, 2e-3, 16_000_000), None).faults.is_empty(), "8 GB/s");
}

#[test]
fn a_pass_below_its_floor_raises_the_ceiling_that_bounds_it() {
    let found = audited(&pass(&decode(0), 0.5e-3, cost()), None);
    assert_eq!(found.faults.len(), 1);
    let machine = found.machine.expect("the ceilings");
    assert!(machine.bandwidth.upper(10_000_000) > 19e9 && machine.flops_f32.hi < 1.1e12, "{machine:?}");
}

#[test]
fn a_kernel_below_its_floor_raises_the_peak() {
    let point = json!({ "model": "m", "format": "f16", "tokens": 128, "depth": 0 });
    // A millisecond at 1 TFLOP/s, in 0.8 ms.
    let mut records = launches(&point, &[("gate_up", 0.8e-3)]);
    records.iter_mut().for_each(|r| r.row["launches"][0]["cost"]["flops"] = json!(1_000_000_000));
    let found = audited(&records, None);
    assert!(found.faults[0].sentence.starts_with("gate_up"), "{:?}", found.faults);
    let machine = found.machine.expect("the ceilings");
    assert!(machine.flops_f32.hi > 1.24e12 && machine.bandwidth.upper(1) < 10.1e9, "{machine:?}");
}

#[test]
fn more_work_in_less_time_is_a_contradiction() {
    let deep = [pass(&decode(0), 0.01, cost()), pass(&decode(256), 0.008, cost())].concat();
    let found = audited(&deep, None);
    assert!(found.faults[0].sentence.contains("depth of 0"), "{:?}", found.faults);
    assert_eq!(found.faults[0].cells.len(), 2);
    let verify =
        |n: usize| json!({ "model": "m", "format": "f16", "work": format!("verify{n}"), "depth": 64 });
    let batches = [pass(&verify(8), 0.02, cost()), pass(&verify(12), 0.015, cost())].concat();
    assert!(audited(&batches, None).faults[0].sentence.contains("batch size of 8"));
    let even = [pass(&decode(0), 0.01, cost()), pass(&decode(256), 0.0099, cost())].concat();
    assert!(audited(&even, None).faults.is_empty(), "within the intervals");
}

#[test]
fn visits_between_unsteady_anchors_are_counted() {
    let anchor = json!({ "model": "anchor", "format": "f16", "work": "tg8", "depth": 0 });
    let row = pass(&anchor, 0.01, cost())[0].row.clone();
    let mut records = Vec::new();
    for (round, seconds) in (0..).zip([0.01, 0.01, 0.013, 0.013]) {
        records.push(visit("pass", &anchor, row.clone(), round, &[seconds; 3]));
    }
    let id = records[0].cell_id.clone();
    let at = |seconds: u64| Record {
        started_utc: utc(seconds),
        ..pass(&decode(seconds), 0.02, cost())[0].clone()
    };
    records.extend([at(30), at(700), at(1900)]);
    let found = audited(&records, Some(&id));
    let pace = found.pace.expect("four anchors");
    assert!(pace.n == 4 && pace.slowest > 0.1, "{pace:?}");
    let unsteady = found.faults.iter().find(|it| it.sentence.contains("changed its pace")).expect("a fault");
    assert!(
        unsteady.sentence.starts_with("1 of 3 visits"),
        "between the second and the third anchor: {unsteady:?}"
    );
    assert!(audited(&records, None).pace.is_none(), "no anchor is known");
}
