//! The JSON Schema in `docs/` is that of the types.

use ridgeline_experiment::record::{Record, json_schema};
use serde_json::Value;

#[test]
fn the_schema_in_docs_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/journal.schema.json");
    let written = std::fs::read_to_string(path).expect("docs/journal.schema.json");
    assert_eq!(
        written,
        json_schema(),
        "run `cargo run -p ridgeline-experiment --example journal_schema > docs/journal.schema.json`"
    );
}

#[test]
fn every_key_of_a_record_is_in_the_schema() {
    let schema: Value = serde_json::from_str(&json_schema()).expect("JSON");
    let properties = schema["properties"].as_object().expect("properties");
    let line = include_str!("data/record.json");
    let record: Record = serde_json::from_str(line).expect("a record");
    let written = serde_json::to_value(&record).expect("JSON");
    let keys = written.as_object().expect("an object");
    assert_eq!(keys.keys().collect::<Vec<_>>(), properties.keys().collect::<Vec<_>>());
    let required = schema["required"].as_array().expect("required keys");
    assert!(required.iter().all(|key| keys.contains_key(key.as_str().expect("text"))), "{required:?}");
}
