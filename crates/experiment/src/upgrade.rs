//! Upgrades journal records of earlier schemas: renames keys and splits rows, and leaves all numbers unchanged.
//!
//! There is one function per schema.

use serde_json::{Map, Value, json};

/// The second schema, in which experiments measured and concluded, and one row held several measurements.
pub(crate) const SCHEMA_2: &str = "ridgeline.journal/2";

/// The first schema, whose keys had other names.
pub(crate) const SCHEMA_1: &str = "ridgeline.journal/1";

/// By experiment: old and new keys of its rows and points, at any depth.
const KEYS: [(&str, &[(&str, &str)]); 6] = [
    ("bench", &[("alone_s", "isolated_s"), ("in_turn_s", "back_to_back_s")]),
    ("batch", &[("alone_s", "isolated_s"), ("in_turn_s", "back_to_back_s")]),
    (
        "ladder",
        &[
            ("alone_s", "isolated_s"),
            ("in_turn_s", "back_to_back_s"),
            ("via", "requantized_from"),
            ("against", "vs_reference"),
            ("same_top", "top1_agreement"),
            ("turns", "interleaved_ns"),
        ],
    ),
    ("speculation", &[("plain_ns", "baseline_ns"), ("by_kind", "acceptance_by_prompt")]),
    ("kernels", &[("part", "module")]),
    ("ceilings", &[("piece", "ceiling"), ("alone", "synchronised_blocks")]),
];

/// Old and new keys of costs, which rows of several experiments hold.
const COST_KEYS: [(&str, &str); 2] = [("act_read", "activation_read"), ("act_write", "activation_write")];

/// Upgrades a record of [`SCHEMA_1`] in place.
pub(crate) fn from_schema_1(record: &mut Value) {
    let Some(record) = record.as_object_mut() else { return };
    let experiment = record.get("experiment").and_then(Value::as_str).unwrap_or_default().to_owned();
    let keys = KEYS.iter().find(|(name, _)| *name == experiment).map_or(&[][..], |(_, keys)| keys);
    for part in ["row", "point"] {
        if let Some(value) = record.get_mut(part) {
            rename(value, keys);
            rename(value, &COST_KEYS);
        }
    }
    if experiment == "ladder" {
        record.insert("experiment".to_owned(), "quantization".into());
    }
    if let Some(limits) = record.get_mut("machine").and_then(|machine| machine.get_mut("limits")) {
        rename(limits, &[("max_slots", "max_storage_buffers")]);
    }
    let kind = record.get_mut("check").and_then(|check| check.get_mut("kind"));
    if let Some(kind) = kind.filter(|kind| *kind == "greedy-equals-plain") {
        *kind = "greedy-matches-baseline".into();
    }
    record.insert("schema".to_owned(), SCHEMA_2.into());
}

/// Upgrades a record of [`SCHEMA_2`]: experiments become measures, and a row of the sweep becomes one of each measure.
pub(crate) fn from_schema_2(mut record: Value) -> Vec<Value> {
    let experiment = record.get("experiment").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(object) = record.as_object_mut() {
        object.remove("experiment");
        object.insert("schema".to_owned(), crate::record::SCHEMA.into());
    }
    let measure = match experiment.as_str() {
        "kernels" => "launch",
        "bench" | "batch" => "pass",
        "quantization" => "quality",
        other => other,
    };
    record["measure"] = measure.into();
    if matches!(measure, "ceilings" | "launch") {
        // Wall times of blocks, whose length every run calibrated anew.
        record["samples_ns"] = json!([]);
    }
    match experiment.as_str() {
        "bench" => {
            record["point"] = moved(&record["point"], "test", "work");
            if !record["row"]["pass"]["kernels"].is_null() {
                record["point"]["kernels"] = true.into();
            }
            vec![record]
        }
        "batch" => {
            let n = record["point"]["tokens"].clone();
            record["point"] = work(&record["point"], &format!("verify{n}"));
            record["row"] = pass_row(&record["row"], &json!({ "prompt": n, "generate": 0 }));
            vec![record]
        }
        "quantization" => sweep(record),
        "speculation" => {
            record["row"]["speculating_ns"] = record["samples_ns"].clone();
            // Later experiments measure speculation, too.
            record["studies"] = json!(["AG-6"]);
            vec![record]
        }
        _ => vec![record],
    }
}

/// The records of one row of the sweep: quality, generation and prompt.
fn sweep(record: Value) -> Vec<Value> {
    let (point, row) = (&record["point"], &record["row"]);
    let from = point["requantized_from"].as_str().filter(|it| *it != "none").map(|it| format!("{it}>"));
    let format = format!("mix:{}{}", from.unwrap_or_default(), point["format"].as_str().unwrap_or_default());
    let part = |measure: &str, point: Value, row: Value| {
        let mut part = record.clone();
        part["measure"] = measure.into();
        part["cell_id"] =
            format!("{} {measure} {}", record["cell_id"].as_str().unwrap_or_default(), point["work"]).into();
        part["samples_ns"] = row["pass"]["samples_ns"].as_array().cloned().unwrap_or_default().into();
        (part["point"], part["row"]) = (point, row);
        part
    };
    let model = &point["model"];
    let pass = |name: &str, text: &str, prompt: u64, generate: u64| {
        let point = json!({ "model": model, "format": format, "work": text, "depth": 0 });
        part("pass", point, pass_row(&row[name], &json!({ "prompt": prompt, "generate": generate })))
    };
    let keys = ["weight_bytes", "params", "ppl", "vs_reference", "scored"];
    let quality = keys.into_iter().map(|key| (key.to_owned(), row[key].clone())).collect::<Map<_, _>>();
    let reference = format!("{}:f16", model.as_str().unwrap_or_default());
    let of = json!({ "model": model, "format": format, "reference": reference, "text": point["text"], "chunks": point["chunks"] });
    vec![
        part("quality", of, quality.into()),
        pass("generate", "tg32", 0, 32),
        pass("prompt", "pp128", 128, 0),
    ]
}

/// A row of the measure `pass` around a timing.
fn pass_row(timing: &Value, test: &Value) -> Value {
    json!({ "pass": timing, "test": test, "backend": "", "adapter": "", "cache": ["f16", "f16"], "batch": 512 })
}

/// A point of the measure `pass` with the model, format and depth of another.
fn work(point: &Value, text: &str) -> Value {
    json!({ "model": point["model"], "format": point["format"], "depth": point["depth"], "work": text })
}

/// An object with one key renamed.
fn moved(object: &Value, from: &str, to: &str) -> Value {
    let mut object = object.as_object().cloned().unwrap_or_default();
    if let Some(value) = object.remove(from) {
        object.insert(to.to_owned(), value);
    }
    object.into()
}

/// Renames keys of objects at any depth.
fn rename(value: &mut Value, keys: &[(&str, &str)]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, keys)),
        Value::Object(object) => {
            let renamed = std::mem::take(object).into_iter().map(|(key, mut value)| {
                rename(&mut value, keys);
                let new = keys.iter().find(|(old, _)| *old == key).map(|(_, new)| (*new).to_owned());
                (new.unwrap_or(key), value)
            });
            *object = renamed.collect::<Map<_, _>>();
        }
        _ => {}
    }
}
