//! GGUF files: a scan that checks the directory, gguf-rs for the metadata values, and the writer.
//!
//! Layout: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod cursor;
mod decode;
mod scan;
mod split;
mod write;

use std::path::Path;

use crate::{Error, Value, entry::TensorEntry, map::Map};

pub(crate) use scan::{LeftOut, check_disjoint};
pub(crate) use split::read_all;
pub(crate) use write::{Writer, header};

/// The magic number.
pub(crate) const MAGIC: [u8; 4] = *b"GGUF";

/// The directory of a GGUF file, in file order.
pub(crate) struct File {
    pub(crate) metadata: Vec<(String, Value)>,
    /// Keys whose values cannot be read, with the reason.
    pub(crate) unreadable: Vec<(String, &'static str)>,
    pub(crate) tensors: Vec<TensorEntry>,
    /// Tensors that cannot be read, with the reason.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Reads the directory of a mapped GGUF file.
fn read(path: &Path, map: &Map) -> Result<File, Error> {
    let directory = scan::scan(path, map.as_ref())?;
    let metadata = decode::decode(path, map, &directory)?;
    let scan::Directory { unreadable, tensors, left_out, .. } = directory;
    Ok(File { metadata, unreadable, tensors, left_out })
}

/// GGUF's metadata value types, by their ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    Str = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl Type {
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        use Type::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, Str, Array, U64, I64, F64]
            .into_iter()
            .find(|it| *it as u32 == id)
    }

    /// Bytes of one value; `None` for types of variable length.
    pub(crate) const fn fixed_bytes(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Str | Self::Array => None,
        }
    }
}
