//! Synthetic records for tests of studies and of the audit.

use ridgeline_experiment::record::{Build, MachineId, Record, SCHEMA, Status, utc};
use ridgeline_measure::pass::{PassTiming, Test};
use ridgeline_measure::probe::ProductTime;
use ridgeline_measure::profile::{Profiled, TimedLaunch};
use ridgeline_roofline::{Cost, Measured, Regime};
use serde_json::{Value, json};

/// One visit of a cell: its row, and seconds of its repetitions.
pub(crate) fn visit(measure: &str, point: &Value, row: Value, round: u32, seconds: &[f64]) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        run_id: "run".to_owned(),
        cell_id: format!("{measure} {point}"),
        measure: measure.to_owned(),
        studies: vec!["GAP-SUM".to_owned()],
        visit: round,
        point: point.clone(),
        status: Status::Ok,
        reason: None,
        row,
        samples_ns: crate::measures::operation::nanoseconds(seconds),
        check: None,
        machine: MachineId::default(),
        build: Build::default(),
        model: None,
        argv: Vec::new(),
        seed: 0,
        started_utc: utc(600 * u64::from(round)),
        duration_s: 1.0,
    }
}

/// Three visits of a forward pass that takes `seconds`, give or take a percent, with this cost.
pub(crate) fn pass(point: &Value, seconds: f64, cost: Cost) -> Vec<Record> {
    let test = match point["work"].as_str().map(|work| work.trim_start_matches("verify").parse::<usize>()) {
        Some(Ok(n)) => Test { prompt: n, generate: 0 },
        _ => point["work"].as_str().and_then(|work| work.parse().ok()).expect("work"),
    };
    let submissions = if point["submission"] == "launch" { cost.launches } else { 1 };
    let one = |round: u32| {
        let times = [0.995, 1.0, 1.005].map(|by| seconds * by * (1.0 + 0.01 * f64::from(round % 2)));
        let timing = PassTiming {
            samples_ns: crate::measures::operation::nanoseconds(&times),
            encode_ns: Vec::new(),
            device_ns: Vec::new(),
            cost,
            regime: Regime::new(cost.weights.max(1)).submissions(submissions),
            recordings: 3,
            host_ns_per_recording: 0.0,
            params: 1000,
            weight_bytes: cost.weights,
            kernels: None,
        };
        let row = json!({
            "pass": timing, "test": test, "backend": "vulkan", "adapter": "here", "cache": ["f16", "f16"], "batch": 512,
        });
        visit("pass", point, row, round, &times)
    };
    (0..3).map(one).collect()
}

/// One launch of a module, which takes these seconds isolated.
pub(crate) fn timed_launch(module: &str, seconds: f64) -> TimedLaunch {
    TimedLaunch {
        kernel: "kernel".to_owned(),
        variant: "Kernel".to_owned(),
        module: module.to_owned(),
        count: 1,
        by_layer: Vec::new(),
        grid: [1, 1, 1],
        cost: Cost { launches: 1, ..Cost::ZERO },
        seconds: Measured { value: seconds, lo: 0.99 * seconds, hi: 1.01 * seconds },
        blocks: vec![seconds; 3],
    }
}

/// Three visits of a forward pass with one launch for each module, which takes these seconds isolated.
pub(crate) fn launches(point: &Value, modules: &[(&str, f64)]) -> Vec<Record> {
    let launches = modules.iter().map(|&(module, seconds)| timed_launch(module, seconds));
    let row = Profiled { launches: launches.collect() };
    let total = [row.total_s(); 3];
    let row = json!(row);
    (0..3).map(|round| visit("launch", point, row.clone(), round, &total)).collect()
}

/// Three visits of a product that reads `bytes` in these seconds.
pub(crate) fn product(point: &Value, seconds: f64, bytes: u64) -> Vec<Record> {
    let time = ProductTime {
        blocks: vec![seconds; 3],
        synchronised: vec![seconds + 1e-4; 3],
        weight_bytes: bytes,
        flops: 1,
    };
    let row = json!(time);
    let times =
        |round: u32| [0.999, 1.0, 1.001].map(|by| seconds * by * (1.0 + 0.002 * f64::from(round % 2)));
    (0..3).map(|round| visit("operation", point, row.clone(), round, &times(round))).collect()
}
