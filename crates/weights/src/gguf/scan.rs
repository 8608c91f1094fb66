//! The checks of a GGUF directory, before gguf-rs decodes it. Every length in the header must fit the file. Every
//! tensor must lie inside the file and overlap no other. Values and tensors that cannot be read are left out.
//! gguf-rs needs this: it sizes allocations by untrusted counts, and panics on some type ids.
//! Allocations here are at most a small multiple of the bytes read so far.

use std::{collections::HashSet, ops::Range, path::Path};

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
/// Least bytes of an array: type of the elements and count.
const MIN_ARRAY: u64 = 4 + 8;
/// GGUF allows at most four dimensions.
const MAX_RANK: u32 = 4;
/// Dimensions and nested arrays beyond this number are damage.
const MAX_NESTED: u32 = 16;
/// The alignment without `general.alignment`.
const DEFAULT_ALIGNMENT: u32 = 32;
const ALIGNMENT: &str = "general.alignment";
/// ggml's id of double precision, which is read as single precision.
pub(super) const DOUBLE: u32 = 28;

/// ggml's ids of integers from 8 to 64 bits.
const INTEGERS: [u32; 4] = [24, 25, 26, 27];

/// The type of a metadata value; of an array, also that of its elements.
pub(super) struct KeyType<'a> {
    pub(super) key: &'a str,
    pub(super) value: Type,
    pub(super) element: Option<Type>,
}

/// A checked directory.
pub(super) struct Directory<'a> {
    pub(super) version: u32,
    pub(super) keys: Vec<KeyType<'a>>,
    /// Keys whose values cannot be read, with the reason.
    pub(super) unreadable: Vec<(String, &'static str)>,
    pub(super) tensors: Vec<TensorEntry>,
    /// Tensors that cannot be read, with the reason. They matter only if a layer needs them.
    pub(super) left_out: Vec<LeftOut>,
    /// The entries of `keys` and of `tensors` in the file.
    pub(super) entries: Vec<Range<usize>>,
    /// The start of the tensor data, from the start of the file.
    pub(super) data_offset: u64,
}

/// A tensor that cannot be read.
#[derive(Debug)]
pub(crate) struct LeftOut {
    pub(crate) name: String,
    pub(crate) error: Error,
    /// Whether it is empty, or has integers: no layer needs such a tensor unless it defines it.
    pub(crate) harmless: bool,
}

/// A tensor entry of the file, before its offset is checked.
struct RawEntry<'a> {
    name: &'a str,
    /// Outermost dimension first; the file has it last.
    shape: Vec<usize>,
    format: Format,
    /// Whether the values are stored in double precision; `format` is then single precision.
    double: bool,
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

    let keys = scan_keys(path, &mut cursor, n_keys)?;
    let mut tensors = scan_tensors(path, &mut cursor, n_tensors, keys.alignment)?;
    let data_offset = cursor.position().next_multiple_of(u64::from(keys.alignment));
    let mut entries = keys.entries;
    entries.append(&mut tensors.entries);
    Ok(Directory {
        version,
        keys: keys.keys,
        unreadable: keys.unreadable,
        tensors: locate(path, tensors.raw, data_offset, bytes.len() as u64)?,
        left_out: tensors.left_out,
        entries,
        data_offset,
    })
}

/// The metadata entries of a file.
struct Keys<'a> {
    keys: Vec<KeyType<'a>>,
    entries: Vec<Range<usize>>,
    unreadable: Vec<(String, &'static str)>,
    alignment: u32,
}

fn scan_keys<'a>(path: &'a Path, cursor: &mut Cursor<'a>, n_keys: u64) -> Result<Keys<'a>, Error> {
    let mut found =
        Keys { keys: Vec::new(), entries: Vec::new(), unreadable: Vec::new(), alignment: DEFAULT_ALIGNMENT };
    let mut seen = HashSet::new();
    for i in 0..n_keys {
        let start = cursor.index();
        let bytes = cursor.string(|| format!("the key of metadata entry {i}"))?;
        let name = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        let refuse = |problem| {
            Err(Error::MetadataEntry { path: path.to_owned(), key: name.clone().into_owned(), problem })
        };
        if bytes.is_empty() || !seen.insert(bytes) {
            return refuse("the key is empty or appears twice");
        }
        let what = || format!("metadata `{name}`");
        let Some(value) = Type::from_id(cursor.u32(what)?) else { return refuse("unknown value type") };
        let mut element = None;
        let mut problem = None;
        if value == Type::Array {
            let Some(of) = Type::from_id(cursor.u32(what)?) else {
                return refuse("unknown array element type");
            };
            element = Some(of);
            let count = cursor.u64(what)?;
            match skip(cursor, of, count, 0, &what)? {
                Skipped::Fine => {}
                Skipped::Unreadable(why) => problem = Some(why),
                Skipped::Damaged(why) => return refuse(why),
            }
        } else if bytes == ALIGNMENT.as_bytes() {
            found.alignment = alignment(path, cursor, value)?;
            // gguf-rs takes the alignment from one type only.
            problem = (value != Type::U32).then_some("it is not an unsigned 32-bit integer");
        } else if let Skipped::Unreadable(why) = skip(cursor, value, 1, 0, &what)? {
            problem = Some(why);
        }
        match (std::str::from_utf8(bytes), problem) {
            (Ok(key), None) => {
                found.keys.push(KeyType { key, value, element });
                found.entries.push(start..cursor.index());
            }
            (_, problem) => {
                found.unreadable.push((name.into_owned(), problem.unwrap_or("the key is not UTF-8")));
            }
        }
    }
    Ok(found)
}

/// The value of `general.alignment`, an integer of any width.
fn alignment(path: &Path, cursor: &mut Cursor<'_>, of: Type) -> Result<u32, Error> {
    let what = || format!("metadata `{ALIGNMENT}`");
    let integer = !matches!(of, Type::F32 | Type::F64 | Type::Bool | Type::Str | Type::Array);
    let Some(width) = of.fixed_bytes().filter(|_| integer) else {
        let problem = "it must be an integer";
        return Err(Error::MetadataEntry { path: path.to_owned(), key: ALIGNMENT.to_owned(), problem });
    };
    let bytes = cursor.take(width, what)?;
    let value = bytes.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
    let alignment = u32::try_from(value).unwrap_or(u32::MAX);
    if alignment < 8 || !alignment.is_power_of_two() {
        return Err(Error::Alignment { path: path.to_owned(), alignment });
    }
    Ok(alignment)
}

/// What was found in skipped values.
enum Skipped {
    Fine,
    /// Values that cannot be represented.
    Unreadable(&'static str),
    /// Values whose end cannot be found.
    Damaged(&'static str),
}

/// Skips `count` values of one type.
fn skip(
    cursor: &mut Cursor<'_>,
    of: Type,
    count: u64,
    depth: u32,
    what: &impl Fn() -> String,
) -> Result<Skipped, Error> {
    if of == Type::Array {
        cursor.check(count, MIN_ARRAY, what)?;
        for _ in 0..count {
            let Some(inner) = Type::from_id(cursor.u32(what)?).filter(|_| depth < MAX_NESTED) else {
                return Ok(Skipped::Damaged("unknown array element type"));
            };
            let count = cursor.u64(what)?;
            if let Skipped::Damaged(why) = skip(cursor, inner, count, depth + 1, what)? {
                return Ok(Skipped::Damaged(why));
            }
        }
        return Ok(Skipped::Unreadable("it is an array of arrays"));
    }
    let Some(each) = of.fixed_bytes() else {
        cursor.check(count, 8, what)?;
        let mut utf8 = true;
        for _ in 0..count {
            utf8 &= std::str::from_utf8(cursor.string(what)?).is_ok();
        }
        return Ok(if utf8 { Skipped::Fine } else { Skipped::Unreadable("a text is not UTF-8") });
    };
    cursor.check(count, each, what)?;
    let bytes = cursor.take(count * each, what)?;
    // gguf-rs returns values as JSON, which has no infinities and no NaN.
    let finite = match of {
        Type::F32 => bytes.as_chunks().0.iter().all(|&it| f32::from_le_bytes(it).is_finite()),
        Type::F64 => bytes.as_chunks().0.iter().all(|&it| f64::from_le_bytes(it).is_finite()),
        _ => true,
    };
    Ok(if finite { Skipped::Fine } else { Skipped::Unreadable("a value is not finite") })
}

/// The tensor entries of a file.
struct Tensors<'a> {
    raw: Vec<RawEntry<'a>>,
    entries: Vec<Range<usize>>,
    left_out: Vec<LeftOut>,
}

fn scan_tensors<'a>(
    path: &Path,
    cursor: &mut Cursor<'a>,
    n_tensors: u64,
    alignment: u32,
) -> Result<Tensors<'a>, Error> {
    let mut found = Tensors { raw: Vec::new(), entries: Vec::new(), left_out: Vec::new() };
    let mut seen = HashSet::new();
    for i in 0..n_tensors {
        let begin = cursor.index();
        let bytes = cursor.string(|| format!("the name of tensor {i}"))?;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let refuse = |problem| Error::TensorEntry { path: path.to_owned(), tensor: shown.clone(), problem };
        if bytes.is_empty() || !seen.insert(bytes) {
            return Err(refuse("the name is empty or appears twice"));
        }
        let what = || format!("the entry of tensor `{shown}`");
        let rank = cursor.u32(what)?;
        if rank > MAX_NESTED {
            return Err(refuse("it must have one to four dimensions"));
        }
        let dimensions: Vec<u64> = (0..rank).map(|_| cursor.u64(what)).collect::<Result<_, _>>()?;
        let type_id = cursor.u32(what)?;
        let offset = cursor.u64(what)?;
        let entry = match std::str::from_utf8(bytes) {
            Ok(name) => measure(path, name, &dimensions, type_id),
            Err(_) => Err(refuse("the name is not UTF-8")),
        };
        match entry {
            Ok(_) if !offset.is_multiple_of(u64::from(alignment)) => {
                return Err(refuse("its offset is not a multiple of the alignment"));
            }
            Ok(entry) => {
                found.raw.push(RawEntry { offset, ..entry });
                found.entries.push(begin..cursor.index());
            }
            Err(error) => {
                let harmless = INTEGERS.contains(&type_id) || dimensions.contains(&0);
                found.left_out.push(LeftOut { name: shown, error, harmless });
            }
        }
    }
    Ok(found)
}

/// The shape, type and size of a tensor, if it can be read.
fn measure<'a>(path: &Path, name: &'a str, dimensions: &[u64], type_id: u32) -> Result<RawEntry<'a>, Error> {
    let refuse = |problem| Error::TensorEntry { path: path.to_owned(), tensor: name.to_owned(), problem };
    if dimensions.is_empty() || dimensions.len() > MAX_RANK as usize {
        return Err(refuse("it must have one to four dimensions"));
    }
    let size = |&it: &u64| usize::try_from(it).ok().filter(|&it| it > 0);
    let shape: Option<Vec<usize>> = dimensions.iter().rev().map(size).collect();
    let shape = shape.ok_or_else(|| refuse("a dimension is zero or does not fit in memory"))?;
    let double = type_id == DOUBLE;
    let format = if double { Some(Format::SINGLE) } else { Format::from_gguf(type_id) };
    let format = format.ok_or_else(|| Error::UnsupportedFormat {
        path: path.to_owned(),
        tensor: name.to_owned(),
        format: Format::gguf_type_name(type_id)
            .map_or_else(|| format!("ggml type {type_id}, which is unknown"), str::to_owned),
    })?;
    let bytes = byte_length(&shape, format).map_err(refuse)?;
    let bytes = if double { bytes.checked_mul(2) } else { Some(bytes) };
    let bytes = bytes.ok_or_else(|| refuse("its size overflows 64 bits"))?;
    Ok(RawEntry { name, shape, format, double, offset: 0, bytes })
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
            (Some(start), Some(end)) if end <= file_bytes => {
                let range = ByteRange { map: 0, start, end };
                let storage = if tensor.double { Storage::Double(range) } else { Storage::Mapped(range) };
                let (name, shape, format) = (tensor.name.to_owned(), tensor.shape, tensor.format);
                entries.push(TensorEntry { name, shape, format, storage });
            }
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
