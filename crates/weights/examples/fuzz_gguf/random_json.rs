//! Damaged JSON: values of another kind, keys removed, added or swapped, at random places.

use serde_json::{Value, json};

/// A random number below its argument.
pub(crate) type Below<'a> = dyn FnMut(usize) -> usize + 'a;

/// The text of a document after one to four changes; `keys` are added now and then. One of eight also loses its end.
pub(crate) fn damaged(document: &Value, keys: &[&str], below: &mut Below<'_>) -> Vec<u8> {
    let mut document = document.clone();
    for _ in 0..=below(4) {
        change(&mut document, keys, below);
    }
    let mut bytes = document.to_string().into_bytes();
    if below(8) == 0 {
        let end = below(bytes.len());
        bytes.truncate(end);
    }
    bytes
}

/// Replaces, removes or adds a value at a random place.
fn change(document: &mut Value, keys: &[&str], below: &mut Below<'_>) {
    let path = place(document, below);
    let other = document.pointer(&place(document, below)).cloned().unwrap_or_default();
    let new = if below(4) == 0 { other } else { value(below) };
    let Some(at) = document.pointer_mut(&path) else { return };
    match at {
        Value::Object(map) if below(2) == 0 => {
            let names: Vec<String> = map.keys().cloned().collect();
            let added = (!keys.is_empty()).then(|| keys[below(keys.len())].to_owned());
            match (below(2), names.is_empty(), added) {
                (0, false, _) => drop(map.remove(&names[below(names.len())])),
                (_, _, Some(name)) => drop(map.insert(name, new)),
                _ => drop(map.insert("x".to_owned(), new)),
            }
        }
        Value::Array(list) if below(2) == 0 => {
            let i = below(list.len() + 1);
            if i < list.len() && below(2) == 0 { drop(list.remove(i)) } else { list.insert(i, new) }
        }
        _ => *at = new,
    }
}

/// The JSON pointer of a random place.
fn place(document: &Value, below: &mut Below<'_>) -> String {
    let (mut at, mut path) = (document, String::new());
    loop {
        let children: Vec<(String, &Value)> = match at {
            Value::Object(map) => map.iter().map(|(name, it)| (name.clone(), it)).collect(),
            Value::Array(list) => list.iter().enumerate().map(|(i, it)| (i.to_string(), it)).collect(),
            _ => Vec::new(),
        };
        if children.is_empty() || below(4) == 0 && !path.is_empty() {
            return path;
        }
        let (name, child) = &children[below(children.len())];
        path += &format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        at = child;
    }
}

/// A value of any kind, often an extreme one.
fn value(below: &mut Below<'_>) -> Value {
    let all = [
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(2),
        json!(0.5),
        json!(-1e308),
        json!(1e308),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1_u64 << 32),
        json!(""),
        json!("x"),
        json!("\u{2581}"),
        json!([]),
        json!([0]),
        json!(["a", "b"]),
        json!({}),
        json!({ "type": "Sequence" }),
        json!({ "type": "ByteLevel" }),
        json!({ "type": "Split", "pattern": { "Regex": "(" }, "behavior": "Isolated", "invert": false }),
    ];
    all[below(all.len())].clone()
}
