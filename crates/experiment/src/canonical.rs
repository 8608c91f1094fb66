//! Canonical JSON: one spelling for every value, so that equal cells have equal hashes.

use serde_json::Value;
use std::fmt::Write;

/// The value as text with sorted keys, no spaces and one spelling per number.
///
/// `1`, `1.0` and `1e0` are all written `1`. Other floats have the fewest digits that parse to the same `f64`.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

/// The first 128 bits of BLAKE3 over the canonical text, as 32 hexadecimal digits.
#[must_use]
pub fn hash(value: &Value) -> String {
    blake3::hash(canonical(value).as_bytes()).to_hex()[..32].to_owned()
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Number(n) => write_number(text, n),
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write_value(text, item);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write_value(text, &Value::String(key.clone()));
                text.push(':');
                write_value(text, item);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {
            // Writing to a string cannot fail, and these three have one spelling.
            let _ = write!(text, "{value}");
        }
    }
}

fn write_number(text: &mut String, n: &serde_json::Number) {
    let _ = match (n.as_i64(), n.as_u64(), n.as_f64()) {
        (Some(i), _, _) => write!(text, "{i}"),
        (_, Some(u), _) => write!(text, "{u}"),
        (_, _, Some(f)) => write!(text, "{f}"),
        _ => write!(text, "{n}"),
    };
}
