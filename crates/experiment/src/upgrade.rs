//! Upgrades journal records of earlier schemas: renames keys and fixed values, and leaves all numbers unchanged.
//!
//! There is one function per schema.

use serde_json::{Map, Value};

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
    record.insert("schema".to_owned(), crate::record::SCHEMA.into());
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
