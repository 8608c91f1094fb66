//! Journals of earlier schemas: keys are renamed, rows are split, and no number changes.

mod support;

use ridgeline_experiment::journal::{self, Journal};
use ridgeline_experiment::record::{Check, Record, SCHEMA};
use serde_json::{Value, json};

/// A record of the current schema.
fn current(cell: &str) -> Record {
    let check = Check { kind: "floor".to_owned(), ok: true, detail: "1.2 × floor".to_owned() };
    let (cell_id, samples_ns) = (cell.to_owned(), vec![1, u64::MAX, 3]);
    Record {
        cell_id,
        samples_ns,
        check: Some(check),
        ..support::record("pass", json!({"model": "tiny-target"}))
    }
}

/// A record as an earlier schema spelt it.
fn old(schema: u32, experiment: &str, point: Value, row: Value) -> Value {
    let mut record = serde_json::to_value(current("a")).expect("JSON");
    let object = record.as_object_mut().expect("an object");
    for key in ["measure", "studies", "visit"] {
        object.remove(key);
    }
    record["schema"] = format!("ridgeline.journal/{schema}").into();
    record["experiment"] = experiment.into();
    (record["point"], record["row"]) = (point, row);
    record
}

/// The records of a journal of one line.
fn read_line(line: &Value) -> Vec<Record> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal.jsonl");
    std::fs::write(&path, format!("{line}\n")).expect("written");
    journal::read(&path).expect("it is read")
}

#[test]
fn journals_of_earlier_schemas_are_read_and_continued() {
    for schema in [1, 2] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal.jsonl");
        let line = old(schema, "kernels", json!({ "model": "a" }), json!({ "launches": [] }));
        std::fs::write(&path, format!("{line}\n")).expect("written");
        let mut writer = Journal::open(&path).expect("an old journal");
        writer.append(current("b")).expect("appended");
        drop(writer);
        let records = journal::read(&path).expect("both");
        assert_eq!(records.iter().map(|it| it.schema.as_str()).collect::<Vec<_>>(), [SCHEMA; 2]);
        assert_eq!((records[0].measure.as_str(), records[0].visit), ("launch", 0));
        assert!(records[0].studies.is_empty(), "it is not known who wanted it");
        assert!(records[0].samples_ns.is_empty(), "times of blocks of any length are dropped");
        assert_eq!(records[1], current("b"));
    }
}

/// The renames of schema 1 by experiment, wherever a key stands. Values stay, even those that equal an old key.
#[test]
fn every_key_of_schema_1_is_upgraded() {
    let cases = [
        (
            "bench",
            json!({"pass": {"kernels": [{"alone_s": 1, "in_turn_s": 2}], "cost": {"act_write": 3}}}),
            json!({"pass": {"kernels": [{"isolated_s": 1, "back_to_back_s": 2}], "cost": {"activation_write": 3}}}),
        ),
        (
            "speculation",
            json!({"plain_ns": [1], "by_kind": [["by_kind", 1]]}),
            json!({"baseline_ns": [1], "acceptance_by_prompt": [["by_kind", 1]], "speculating_ns": [1, u64::MAX, 3]}),
        ),
        ("kernels", json!({"launches": [{"part": "mlp"}]}), json!({"launches": [{"module": "mlp"}]})),
        (
            "ceilings",
            json!({"piece": {"matvec": {"products": [{"alone": 1}]}}}),
            json!({"ceiling": {"matvec": {"products": [{"synchronised_blocks": 1}]}}}),
        ),
    ];
    for (experiment, row, upgraded) in cases {
        let records = read_line(&old(1, experiment, json!({}), row));
        assert_eq!((records.len(), &records[0].row), (1, &upgraded), "{experiment}");
    }
    let limits = json!({"max_slots": 4, "max_other": 5});
    let mut line = old(1, "kernels", json!({}), json!({}));
    line["machine"]["limits"] = limits;
    line["check"]["kind"] = "greedy-equals-plain".into();
    let record = &read_line(&line)[0];
    assert_eq!(record.machine.limits.keys().collect::<Vec<_>>(), ["max_other", "max_storage_buffers"]);
    assert_eq!(record.check.as_ref().expect("a check").kind, "greedy-matches-baseline");
}

#[test]
fn experiments_of_schema_2_become_measures() {
    let point = json!({"model": "m", "format": "f16", "test": "tg8", "depth": 64});
    let bench = |kernels: Value| old(2, "bench", point.clone(), json!({"pass": {"kernels": kernels}}));
    let [timed, plain] = [json!([1]), Value::Null].map(|kernels| read_line(&bench(kernels)).remove(0));
    // A point leaves out its defaults, so that old and new cells have the same key.
    let work = json!({"model": "m", "format": "f16", "work": "tg8", "depth": 64});
    let mut with_kernels = work.clone();
    with_kernels["kernels"] = true.into();
    assert_eq!((timed.measure.as_str(), timed.point, plain.point), ("pass", with_kernels, work));
    let batch = old(
        2,
        "batch",
        json!({"model": "m", "format": "f16", "tokens": 4, "depth": 64}),
        json!({"samples_ns": [9]}),
    );
    let batch = read_line(&batch).remove(0);
    assert_eq!(batch.point, json!({"model": "m", "format": "f16", "work": "verify4", "depth": 64}));
    assert_eq!(
        (&batch.row["pass"], &batch.row["test"]),
        (&json!({"samples_ns": [9]}), &json!({"prompt": 4, "generate": 0}))
    );
    let other = read_line(&old(2, "ceilings", json!({"quantity": "read"}), json!({"ceiling": 1}))).remove(0);
    assert_eq!((other.measure.as_str(), other.row), ("ceilings", json!({"ceiling": 1})));
}

/// One row of the sweep held the quality and the speed of a quantization: three measures.
#[test]
fn a_row_of_the_sweep_becomes_three_records() {
    for (schema, experiment, via, against, top) in [
        (1, "ladder", "via", "against", "same_top"),
        (2, "quantization", "requantized_from", "vs_reference", "top1_agreement"),
    ] {
        let point = json!({"model": "m", "format": "q8_0", via: "q2_k", "text": "t.txt", "chunks": 4});
        let pass = |ns: u64| json!({"samples_ns": [ns, ns]});
        let row = json!({
            "weight_bytes": 10, "params": 9, "ppl": 8, against: {top: 1}, "scored": 7,
            "generate": pass(32), "prompt": pass(128),
        });
        let records = read_line(&old(schema, experiment, point, row));
        let names: Vec<&str> = records.iter().map(|r| r.measure.as_str()).collect();
        assert_eq!(names, ["quality", "pass", "pass"], "schema {schema}");
        let ids: std::collections::HashSet<&str> = records.iter().map(|r| r.cell_id.as_str()).collect();
        assert_eq!(ids.len(), 3, "each is a cell of its own");
        let [quality, generate, prompt] = &records[..] else { unreachable!("three") };
        assert_eq!(quality.point["format"], "mix:q2_k>q8_0");
        assert_eq!((&quality.point["reference"], &quality.point["chunks"]), (&json!("m:f16"), &json!(4)));
        let expected = json!({"weight_bytes": 10, "params": 9, "ppl": 8, "vs_reference": {"top1_agreement": 1}, "scored": 7});
        assert_eq!(quality.row, expected);
        assert_eq!(
            generate.point,
            json!({"model": "m", "format": "mix:q2_k>q8_0", "work": "tg32", "depth": 0})
        );
        assert_eq!((&prompt.point["work"], &prompt.row["test"]["prompt"]), (&json!("pp128"), &json!(128)));
        let samples: Vec<&[u64]> = records.iter().map(|r| r.samples_ns.as_slice()).collect();
        assert_eq!(samples, [&[][..], &[32, 32], &[128, 128]], "each with its own repetitions");
    }
}
