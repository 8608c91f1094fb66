//! Shared by the tests: records of cells.

#![allow(dead_code, reason = "every test file uses its own part of this module")]

use ridgeline_experiment::record::{Build, MachineId, Record, SCHEMA, Status, utc};
use serde_json::{Value, json};

/// An ok record of a measure at a point.
pub(crate) fn record(measure: &str, point: Value) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        run_id: "run".to_owned(),
        cell_id: format!("{measure} {point}"),
        measure: measure.to_owned(),
        studies: Vec::new(),
        visit: 0,
        point,
        status: Status::Ok,
        reason: None,
        row: json!(null),
        samples_ns: Vec::new(),
        check: None,
        machine: MachineId { adapter: "llvmpipe".to_owned(), ..MachineId::default() },
        build: Build { git_rev: Some("abc".to_owned()), ..Build::default() },
        model: None,
        argv: Vec::new(),
        seed: 0,
        started_utc: utc(0),
        duration_s: 0.0,
    }
}

/// One visit of a cell: started in a minute of its round, with these repetitions in microseconds.
pub(crate) fn visit(measure: &str, point: Value, round: u32, samples_us: &[u64]) -> Record {
    Record {
        visit: round,
        samples_ns: samples_us.iter().map(|us| us * 1000).collect(),
        started_utc: utc(600 * u64::from(round)),
        ..record(measure, point)
    }
}
