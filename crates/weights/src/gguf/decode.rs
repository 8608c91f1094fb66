//! The call to gguf-rs: it decodes metadata values, and its tensor list is compared with our scan.
//!
//! gguf-rs 0.1.8 returns values as JSON, which loses their types; the types come from the scan. Its limit on arrays
//! is lifted, because the default cuts tokenizer arrays to three elements. Its tensor sizes are not used.

use std::{
    io::{Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use gguf_rs::{ByteOrder, GGUFContainer, GGUFModel};
use serde_json::Value as Json;

use super::{
    Type,
    scan::{DOUBLE, Directory, KeyType},
};
use crate::{
    Array, Error, Value,
    entry::{Storage, TensorEntry},
    map::Map,
    value::narrow,
};

/// Zeros behind a shortened header: at least the largest alignment that files have.
const PADDING: usize = 4096;

/// The metadata of a scanned file, in file order.
pub(super) fn decode(
    path: &Path,
    map: &Map,
    directory: &Directory<'_>,
) -> Result<Vec<(String, Value)>, Error> {
    let refuse = |problem: String| Error::Directory { path: path.to_owned(), problem };
    let whole = directory.unreadable.is_empty() && directory.left_out.is_empty();
    let header: Box<dyn Read> = if whole {
        let mut header = Cursor::new(map.clone());
        header.set_position(super::MAGIC.len() as u64);
        Box::new(header.take(directory.data_offset))
    } else {
        Box::new(Cursor::new(readable_header(map.as_ref(), directory)))
    };
    let decoded =
        catch_unwind(AssertUnwindSafe(|| GGUFContainer::new(ByteOrder::LE, header, u64::MAX).decode()));
    let model = match decoded {
        Ok(Ok(model)) => model,
        Ok(Err(error)) => return Err(refuse(error.to_string())),
        Err(_) => return Err(refuse("gguf-rs panicked".to_owned())),
    };
    if let Some(problem) = disagreement(&model, directory, whole) {
        return Err(refuse(problem));
    }
    let values = model.metadata();
    let typed = |it: &KeyType<'_>| {
        let value = values.get(it.key).and_then(|json| typed_value(json, it.value, it.element));
        value.map(|value| (it.key.to_owned(), value)).ok_or_else(|| Error::MetadataEntry {
            path: path.to_owned(),
            key: it.key.to_owned(),
            problem: "gguf-rs decodes a value of another type",
        })
    };
    directory.keys.iter().map(typed).collect()
}

/// The header behind the magic number with the readable entries only, because gguf-rs refuses or panics on others.
fn readable_header(bytes: &[u8], directory: &Directory<'_>) -> Vec<u8> {
    let mut header = directory.version.to_le_bytes().to_vec();
    header.extend((directory.tensors.len() as u64).to_le_bytes());
    header.extend((directory.keys.len() as u64).to_le_bytes());
    directory.entries.iter().for_each(|it| header.extend(&bytes[it.clone()]));
    // gguf-rs skips the padding in front of the tensors.
    header.resize(header.len() + PADDING, 0);
    header
}

/// The difference between gguf-rs's directory and ours, if there is one: then one of the two readers is wrong. Of a
/// shortened header the start of the tensors has no meaning.
fn disagreement(model: &GGUFModel, directory: &Directory<'_>, whole: bool) -> Option<String> {
    let moved = whole && model.data_offset() != directory.data_offset;
    if moved || model.tensors().len() != directory.tensors.len() {
        return Some("gguf-rs places the tensors elsewhere".to_owned());
    }
    for (theirs, ours) in model.tensors().iter().zip(&directory.tensors) {
        let shape = theirs.shape.iter().rev();
        let same = theirs.name == ours.name
            && theirs.kind == stored_type(ours)
            && shape.copied().eq(ours.shape.iter().map(|&it| it as u64))
            && ours.storage.range().map(|it| it.start) == Some(directory.data_offset + theirs.offset);
        if !same {
            return Some(format!("gguf-rs reads the entry of tensor `{}` differently", ours.name));
        }
    }
    None
}

/// The type id of a tensor in the file.
fn stored_type(tensor: &TensorEntry) -> u32 {
    match tensor.storage {
        Storage::Double(_) => DOUBLE,
        _ => tensor.format.spec().gguf_type,
    }
}

/// A JSON value as the type that the file declares, if it fits.
fn typed_value(json: &Json, value: Type, element: Option<Type>) -> Option<Value> {
    fn integer<T: TryFrom<i64>>(json: &Json) -> Option<T> {
        json.as_i64()?.try_into().ok()
    }
    Some(match value {
        Type::U8 => Value::U8(integer(json)?),
        Type::I8 => Value::I8(integer(json)?),
        Type::U16 => Value::U16(integer(json)?),
        Type::I16 => Value::I16(integer(json)?),
        Type::U32 => Value::U32(integer(json)?),
        Type::I32 => Value::I32(integer(json)?),
        Type::I64 => Value::I64(json.as_i64()?),
        Type::U64 => Value::U64(json.as_u64()?),
        Type::F32 => Value::F32(narrow(json.as_f64()?)),
        Type::F64 => Value::F64(json.as_f64()?),
        Type::Bool => Value::Bool(json.as_bool()?),
        Type::Str => Value::Str(json.as_str()?.to_owned()),
        Type::Array => {
            let elements = json.as_array()?;
            fn all<'a, T>(elements: &'a [Json], one: impl Fn(&'a Json) -> Option<T>) -> Option<Vec<T>> {
                elements.iter().map(one).collect()
            }
            Value::Array(match element? {
                Type::U8 => Array::U8(all(elements, integer)?),
                Type::I8 => Array::I8(all(elements, integer)?),
                Type::U16 => Array::U16(all(elements, integer)?),
                Type::I16 => Array::I16(all(elements, integer)?),
                Type::U32 => Array::U32(all(elements, integer)?),
                Type::I32 => Array::I32(all(elements, integer)?),
                Type::I64 => Array::I64(all(elements, Json::as_i64)?),
                Type::U64 => Array::U64(all(elements, Json::as_u64)?),
                Type::F32 => Array::F32(all(elements, |it| it.as_f64().map(narrow))?),
                Type::F64 => Array::F64(all(elements, Json::as_f64)?),
                Type::Bool => Array::Bool(all(elements, Json::as_bool)?),
                Type::Str => Array::Str(all(elements, |it| it.as_str().map(str::to_owned))?),
                Type::Array => return None,
            })
        }
    })
}
