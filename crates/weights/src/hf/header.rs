//! The header of one safetensors file, through the `safetensors` crate, with errors that name the tensor. Tensors that
//! no layer needs may have any type and shape.

use std::{collections::BTreeSet, path::Path};

use ridgeline_quant::Format;
use safetensors::{
    Dtype, SafeTensorError, SafeTensors,
    tensor::{Metadata, TensorInfo},
};
use serde_json::Value as Json;

use crate::{
    Error,
    entry::{ByteRange, Storage, TensorEntry},
};

/// The tensors of one file.
pub(super) struct Header {
    /// Those that layers need, under their own names, in file order.
    pub(super) entries: Vec<TensorEntry>,
    pub(super) others: Vec<Other>,
}

/// A tensor that the family does not define.
pub(super) struct Other {
    pub(super) name: String,
    /// Whether it has values that are not integers.
    pub(super) real: bool,
    /// Whether it has no values, or zeros only.
    pub(super) zero: bool,
}

/// Reads the header of the `map`-th file. `needs` decides by name which tensors layers need. With `words`, those of dtype
/// U32 are allowed: they are listed there, with single precision as a placeholder of the same size.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    map: usize,
    needs: &dyn Fn(&str) -> bool,
    mut words: Option<&mut BTreeSet<String>>,
) -> Result<Header, Error> {
    let refuse = |source| blame(path, bytes, needs).unwrap_or_else(|| unnamed(path, source));
    let (header, metadata) = match SafeTensors::read_metadata(bytes) {
        Ok(it) => it,
        Err(source) => repaired(bytes, needs).ok_or_else(|| refuse(source))?,
    };
    let data = (8 + header) as u64;
    let mut found = Header { entries: Vec::new(), others: Vec::new() };
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let (start, end) = info.data_offsets;
        if !needs(&name) {
            let zero = bytes
                .get(8 + header + start..8 + header + end)
                .is_some_and(|it| it.iter().all(|it| *it == 0));
            let zero = zero && name.ends_with(".bias") || info.shape.contains(&0);
            found.others.push(Other { name, real: is_real(info.dtype), zero });
            continue;
        }
        let (format, double) = match (&mut words, info.dtype) {
            (Some(words), Dtype::U32) => {
                words.insert(name.clone());
                (Format::SINGLE, false)
            }
            (_, Dtype::F64) => (Format::SINGLE, true),
            _ => (supported(path, &name, &info.dtype.to_string())?, false),
        };
        if info.shape.is_empty() || info.shape.contains(&0) {
            let problem = "it has no dimensions or an empty one";
            return Err(Error::TensorEntry { path: path.to_owned(), tensor: name, problem });
        }
        let range = ByteRange { map, start: data + start as u64, end: data + end as u64 };
        let storage = if double { Storage::Double(range) } else { Storage::Mapped(range) };
        found.entries.push(TensorEntry { name, shape: info.shape.clone(), format, storage });
    }
    Ok(found)
}

const fn is_real(dtype: Dtype) -> bool {
    use Dtype::{BOOL, I8, I16, I32, I64, U8, U16, U32, U64};
    !matches!(dtype, BOOL | I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
}

/// The header without what the crate refuses but no layer needs: metadata that are no text, and types of tensors that it
/// does not know. Such tensors become bytes. `None` if a needed tensor is broken, or the file's structure.
fn repaired(bytes: &[u8], needs: &dyn Fn(&str) -> bool) -> Option<(usize, Metadata)> {
    let n = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let header: serde_json::Map<String, Json> =
        serde_json::from_slice(bytes.get(8..n.checked_add(8)?)?).ok()?;
    let mut tensors = Vec::new();
    for (name, entry) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
        let info = match serde_json::from_value::<TensorInfo>(entry.clone()) {
            Ok(info) => info,
            Err(_) if needs(&name) => return None,
            Err(_) => {
                let offset = |i: usize| usize::try_from(entry.get("data_offsets")?.get(i)?.as_u64()?).ok();
                let data_offsets = (offset(0)?, offset(1)?);
                let shape = vec![data_offsets.1.checked_sub(data_offsets.0)?];
                TensorInfo { dtype: Dtype::U8, shape, data_offsets }
            }
        };
        tensors.push((name, info));
    }
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let end = tensors.last().map_or(0, |(_, info)| info.data_offsets.1);
    let metadata = Metadata::new(None, tensors).ok()?;
    (end.checked_add(n)?.checked_add(8)? == bytes.len()).then_some((n, metadata))
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
fn blame(path: &Path, bytes: &[u8], needs: &dyn Fn(&str) -> bool) -> Option<Error> {
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
        let value_bytes = match supported(path, name, dtype) {
            Ok(format) => format.spec().block_bytes as u64,
            Err(_) if dtype == "F64" => 8,
            Err(error) if needs(name) => return Some(error),
            Err(_) => return None,
        };
        let [start, end] = offsets[..] else { return refuse("its data_offsets are not a pair") };
        let n = shape.iter().try_fold(1_u64, |n, &it| n.checked_mul(it));
        let bytes = n.and_then(|n| n.checked_mul(value_bytes));
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
