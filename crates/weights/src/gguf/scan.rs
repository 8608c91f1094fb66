//! The checks of a GGUF directory, before gguf-rs decodes it. Every length in the header must fit the file. Every
//! tensor must lie inside the file, overlap no other and have a known quantization type.
//! gguf-rs needs this: it sizes allocations by untrusted counts, and panics on some type ids.
//! Allocations here are at most a small multiple of the bytes read so far.

use std::{collections::HashSet, path::Path};

use ridgeline_quant::Format;

use super::{Type, cursor::Cursor};
use crate::{
    Error,
    entry::{ByteRange, Storage, TensorEntry},
};

/// Least bytes of a metadata entry: key length, one-byte key, type, one-byte value.
const MIN_ENTRY: u64 = 8 + 1 + 4 + 1;
/// Least bytes of a tensor entry: name length, one-byte name, rank, one dimension, type, offset.
const MIN_TENSOR: u64 = 8 + 1 + 4 + 8 + 4 + 8;
/// GGUF allows at most four dimensions.
const MAX_RANK: u32 = 4;
/// The alignment without `general.alignment`.
const DEFAULT_ALIGNMENT: u32 = 32;

/// The type of a metadata value; of an array, also that of its elements.
pub(super) struct KeyType<'a> {
    pub(super) key: &'a str,
    pub(super) value: Type,
    pub(super) element: Option<Type>,
}

/// A checked directory.
pub(super) struct Directory<'a> {
    pub(super) keys: Vec<KeyType<'a>>,
    pub(super) tensors: Vec<TensorEntry>,
    /// The start of the tensor data, from the start of the file.
    pub(super) data_offset: u64,
}

/// A tensor entry of the file, before its offset is checked.
struct RawEntry<'a> {
    name: &'a str,
    /// Outermost dimension first; the file has it last.
    shape: Vec<usize>,
    format: Format,
    offset: u64,
    bytes: u64,
}

pub(super) fn scan<'a>(path: &'a Path, bytes: &'a [u8]) -> Result<Directory<'a>, Error> {
    let mut cursor = Cursor::new(path, bytes);
    let magic = cursor.take(4, || "the magic number".to_owned())?;
    if magic != super::MAGIC {
        return Err(Error::NotACheckpoint {
            path: path.to_owned(),
            expected: "a file that begins with `GGUF`",
        });
    }
    let version = cursor.u32(|| "the version".to_owned())?;
    if version != 0 && version.trailing_zeros() >= 16 {
        return Err(Error::BigEndian { path: path.to_owned() });
    }
    if !(2..=3).contains(&version) {
        return Err(Error::Version { path: path.to_owned(), version });
    }
    let n_tensors = cursor.u64(|| "the number of tensors".to_owned())?;
    let n_keys = cursor.u64(|| "the number of metadata entries".to_owned())?;
    cursor.check(n_keys, MIN_ENTRY, || format!("{n_keys} metadata entries"))?;
    cursor.check(n_tensors, MIN_TENSOR, || format!("{n_tensors} tensor entries"))?;

    let (keys, alignment) = scan_keys(path, &mut cursor, n_keys)?;
    let raw = scan_tensors(path, &mut cursor, n_tensors, alignment)?;
    let data_offset = cursor.position().next_multiple_of(u64::from(alignment));
    let tensors = locate(path, raw, data_offset, bytes.len() as u64)?;
    Ok(Directory { keys, tensors, data_offset })
}

fn scan_keys<'a>(
    path: &Path,
    cursor: &mut Cursor<'a>,
    n_keys: u64,
) -> Result<(Vec<KeyType<'a>>, u32), Error> {
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    let mut alignment = DEFAULT_ALIGNMENT;
    for i in 0..n_keys {
        let bytes = cursor.string(|| format!("the key of metadata entry {i}"))?;
        let refuse = |problem| {
            Err(Error::MetadataEntry {
                path: path.to_owned(),
                key: String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned(),
                problem,
            })
        };
        let Ok(key) = std::str::from_utf8(bytes) else { return refuse("the key is not UTF-8") };
        if key.is_empty() || !seen.insert(key) {
            return refuse("the key is empty or appears twice");
        }
        let what = || format!("metadata `{key}`");
        let Some(value) = Type::from_id(cursor.u32(what)?) else { return refuse("unknown value type") };
        let mut element = None;
        if value == Type::Array {
            element = Type::from_id(cursor.u32(what)?);
            let count = cursor.u64(what)?;
            let problem = match element {
                None => Some("unknown array element type"),
                Some(Type::Array) => Some("an array of arrays is not supported"),
                Some(element) => skip(cursor, element, count, what)?,
            };
            if let Some(problem) = problem {
                return refuse(problem);
            }
        } else if key == "general.alignment" {
            if value != Type::U32 {
                return refuse("it must be an unsigned 32-bit integer");
            }
            alignment = cursor.u32(what)?;
            if alignment < 8 || !alignment.is_power_of_two() {
                return Err(Error::Alignment { path: path.to_owned(), alignment });
            }
        } else if let Some(problem) = skip(cursor, value, 1, what)? {
            return refuse(problem);
        }
        keys.push(KeyType { key, value, element });
    }
    Ok((keys, alignment))
}

/// Skips `count` values of one type other than array. Returns their defect, if they have one.
fn skip(
    cursor: &mut Cursor<'_>,
    of: Type,
    count: u64,
    what: impl Fn() -> String,
) -> Result<Option<&'static str>, Error> {
    let Some(each) = of.fixed_bytes() else {
        cursor.check(count, 8, &what)?;
        for _ in 0..count {
            cursor.string(&what)?;
        }
        return Ok(None);
    };
    cursor.check(count, each, &what)?;
    let bytes = cursor.take(count * each, &what)?;
    // gguf-rs returns values as JSON, which has no infinities and no NaN.
    let finite = match of {
        Type::F32 => bytes.as_chunks().0.iter().all(|&it| f32::from_le_bytes(it).is_finite()),
        Type::F64 => bytes.as_chunks().0.iter().all(|&it| f64::from_le_bytes(it).is_finite()),
        _ => true,
    };
    Ok((!finite).then_some("a value is not finite"))
}

fn scan_tensors<'a>(
    path: &Path,
    cursor: &mut Cursor<'a>,
    n_tensors: u64,
    alignment: u32,
) -> Result<Vec<RawEntry<'a>>, Error> {
    let mut tensors = Vec::new();
    let mut seen = HashSet::new();
    for i in 0..n_tensors {
        let bytes = cursor.string(|| format!("the name of tensor {i}"))?;
        let refuse = |problem| {
            Err(Error::TensorEntry {
                path: path.to_owned(),
                tensor: String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned(),
                problem,
            })
        };
        let Ok(name) = std::str::from_utf8(bytes) else { return refuse("the name is not UTF-8") };
        if name.is_empty() || !seen.insert(name) {
            return refuse("the name is empty or appears twice");
        }
        let what = || format!("the entry of tensor `{name}`");
        let rank = cursor.u32(what)?;
        if !(1..=MAX_RANK).contains(&rank) {
            return refuse("it must have one to four dimensions");
        }
        let mut shape = Vec::with_capacity(rank as usize);
        for _ in 0..rank {
            match usize::try_from(cursor.u64(what)?) {
                Ok(dimension) if dimension > 0 => shape.push(dimension),
                _ => return refuse("a dimension is zero or does not fit in memory"),
            }
        }
        shape.reverse();
        let type_id = cursor.u32(what)?;
        let format = Format::from_gguf(type_id).ok_or_else(|| Error::UnsupportedFormat {
            path: path.to_owned(),
            tensor: name.to_owned(),
            format: Format::gguf_type_name(type_id)
                .map_or_else(|| format!("ggml type {type_id}, which is unknown"), str::to_owned),
        })?;
        let offset = cursor.u64(what)?;
        if !offset.is_multiple_of(u64::from(alignment)) {
            return refuse("its offset is not a multiple of the alignment");
        }
        match byte_length(&shape, format) {
            Ok(bytes) => tensors.push(RawEntry { name, shape, format, offset, bytes }),
            Err(problem) => return refuse(problem),
        }
    }
    Ok(tensors)
}

/// Bytes of a tensor. gguf-rs computes them too, but wrongly for several types.
fn byte_length(shape: &[usize], format: Format) -> Result<u64, &'static str> {
    let spec = format.spec();
    if shape.last().is_some_and(|n_cols| !n_cols.is_multiple_of(spec.block_len)) {
        return Err("its rows are not whole blocks of its quantization type");
    }
    let n = shape.iter().try_fold(1_u64, |n, &dimension| n.checked_mul(dimension as u64));
    n.and_then(|n| (n / spec.block_len as u64).checked_mul(spec.block_bytes as u64))
        .ok_or("its size overflows 64 bits")
}

/// Turns offsets into ranges of the file, and checks that they lie inside it and are disjoint.
fn locate(
    path: &Path,
    raw: Vec<RawEntry<'_>>,
    data_offset: u64,
    file_bytes: u64,
) -> Result<Vec<TensorEntry>, Error> {
    let mut entries = Vec::with_capacity(raw.len());
    for tensor in raw {
        let start = data_offset.checked_add(tensor.offset);
        let end = start.and_then(|start| start.checked_add(tensor.bytes));
        match (start, end) {
            (Some(start), Some(end)) if end <= file_bytes => entries.push(TensorEntry {
                name: tensor.name.to_owned(),
                shape: tensor.shape,
                format: tensor.format,
                storage: Storage::Mapped(ByteRange { map: 0, start, end }),
            }),
            (start, end) => {
                return Err(Error::OutOfBounds {
                    path: path.to_owned(),
                    tensor: tensor.name.to_owned(),
                    start: start.unwrap_or(u64::MAX),
                    end: end.unwrap_or(u64::MAX),
                    file_bytes,
                });
            }
        }
    }
    check_disjoint(path, &entries)?;
    Ok(entries)
}

/// Fails if two tensors of one file share bytes.
pub(crate) fn check_disjoint(path: &Path, entries: &[TensorEntry]) -> Result<(), Error> {
    let mut ranges: Vec<(u64, u64, usize)> = Vec::with_capacity(entries.len());
    for (i, entry) in entries.iter().enumerate() {
        if let Some(ByteRange { start, end, .. }) = entry.storage.range() {
            ranges.push((start, end, i));
        }
    }
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        let [(_, end, other), (start, _, tensor)] = [pair[0], pair[1]];
        if start < end {
            return Err(Error::Overlap {
                path: path.to_owned(),
                tensor: entries[tensor].name.clone(),
                other: entries[other].name.clone(),
            });
        }
    }
    Ok(())
}
