//! The header of one safetensors file, through the `safetensors` crate, with errors that name the tensor.

use std::{collections::BTreeSet, path::Path};

use ridgeline_quant::Format;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde_json::Value as Json;

use crate::{
    Error,
    entry::{ByteRange, Storage, TensorEntry},
};

/// The tensors of the `map`-th file under their own names, in file order. With `words`, tensors of dtype U32 are
/// allowed: they are listed there, with single precision as a placeholder of the same size.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    map: usize,
    mut words: Option<&mut BTreeSet<String>>,
) -> Result<Vec<TensorEntry>, Error> {
    let (header, metadata) = SafeTensors::read_metadata(bytes)
        .map_err(|source| blame(path, bytes).unwrap_or_else(|| unnamed(path, source)))?;
    let data = (8 + header) as u64;
    let mut entries = Vec::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let format = match &mut words {
            Some(words) if info.dtype == Dtype::U32 => {
                words.insert(name.clone());
                Format::SINGLE
            }
            _ => supported(path, &name, &info.dtype.to_string())?,
        };
        if info.shape.is_empty() || info.shape.contains(&0) {
            let problem = "it has no dimensions or an empty one";
            return Err(Error::TensorEntry { path: path.to_owned(), tensor: name, problem });
        }
        let (start, end) = info.data_offsets;
        let range = ByteRange { map, start: data + start as u64, end: data + end as u64 };
        let storage = Storage::Mapped(range);
        entries.push(TensorEntry { name, shape: info.shape.clone(), format, storage });
    }
    Ok(entries)
}

fn supported(path: &Path, tensor: &str, dtype: &str) -> Result<Format, Error> {
    Format::from_name(dtype).ok_or_else(|| Error::UnsupportedFormat {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        format: dtype.to_owned(),
    })
}

/// An error of the `safetensors` crate for which no tensor was found.
fn unnamed(path: &Path, source: SafeTensorError) -> Error {
    match source {
        SafeTensorError::InvalidOffset(tensor) => Error::TensorEntry {
            path: path.to_owned(),
            tensor,
            problem: "its bytes overlap another tensor, or leave a gap before them",
        },
        source => Error::SafetensorsHeader { path: path.to_owned(), source },
    }
}

/// Finds the tensor that a header was rejected for: most errors of the `safetensors` crate do not name it.
fn blame(path: &Path, bytes: &[u8]) -> Option<Error> {
    let n = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let end_of_header = n.checked_add(8)?;
    let header: serde_json::Map<String, Json> = serde_json::from_slice(bytes.get(8..end_of_header)?).ok()?;
    let available = (bytes.len() - end_of_header) as u64;
    header.iter().filter(|(name, _)| *name != "__metadata__").find_map(|(name, entry)| {
        let refuse =
            |problem| Some(Error::TensorEntry { path: path.to_owned(), tensor: name.clone(), problem });
        let integers = |key: &str| -> Option<Vec<u64>> {
            entry.get(key)?.as_array()?.iter().map(Json::as_u64).collect()
        };
        let (Some(dtype), Some(shape), Some(offsets)) =
            (entry.get("dtype").and_then(Json::as_str), integers("shape"), integers("data_offsets"))
        else {
            return refuse("its entry lacks a dtype, shape or data_offsets");
        };
        let format = match supported(path, name, dtype) {
            Ok(format) => format,
            Err(error) => return Some(error),
        };
        let [start, end] = offsets[..] else { return refuse("its data_offsets are not a pair") };
        let n = shape.iter().try_fold(1_u64, |n, &it| n.checked_mul(it));
        let bytes = n.and_then(|n| n.checked_mul(format.spec().block_bytes as u64));
        if start > end || bytes != Some(end - start) {
            return refuse("its data_offsets do not match its shape and dtype");
        }
        (end > available).then(|| Error::OutOfBounds {
            path: path.to_owned(),
            tensor: name.clone(),
            start: start.saturating_add(end_of_header as u64),
            end: end.saturating_add(end_of_header as u64),
            file_bytes: available + end_of_header as u64,
        })
    })
}
