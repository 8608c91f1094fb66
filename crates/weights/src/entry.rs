//! The directory of a checkpoint as its readers (`gguf`, `hf`) hand it over: one entry per tensor.

use std::path::PathBuf;

use ridgeline_quant::Format;

use crate::{Metadata, map::Map};

/// The kind of file that a checkpoint comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Container {
    /// A GGUF file.
    Gguf,
    /// One or more safetensors files beside a config.json.
    Safetensors,
    /// No file: random weights in a given shape.
    Random,
}

/// Everything that a reader found in the files of a checkpoint.
pub(crate) struct Parts {
    pub(crate) metadata: Metadata,
    pub(crate) entries: Vec<TensorEntry>,
    pub(crate) maps: Vec<Map>,
    pub(crate) tokenizer_json: Option<PathBuf>,
}

/// One tensor of the directory, under its canonical name.
#[derive(Clone, Debug)]
pub(crate) struct TensorEntry {
    pub(crate) name: String,
    /// Outermost dimension first: a matrix is `[rows, columns]`.
    pub(crate) shape: Vec<usize>,
    pub(crate) format: Format,
    pub(crate) storage: Storage,
}

/// Where a tensor's bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// One range of a mapped file.
    Mapped(ByteRange),
    /// Three ranges of mapped files, interleaved on request by `hf::assemble`.
    Affine(Box<Affine>),
    /// Generated on request from a seed.
    Random,
}

impl Storage {
    /// The byte range of a tensor that is stored in one piece.
    pub(crate) const fn range(&self) -> Option<ByteRange> {
        match *self {
            Self::Mapped(range) => Some(range),
            Self::Affine(_) | Self::Random => None,
        }
    }
}

/// Bytes `start..end` of the `map`-th mapped file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteRange {
    pub(crate) map: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl ByteRange {
    /// The bytes; the range must lie inside its file.
    pub(crate) fn bytes(self, maps: &[Map]) -> &[u8] {
        let at = |offset: u64| usize::try_from(offset).expect("an offset within a mapping fits in memory");
        &maps[self.map].as_ref()[at(self.start)..at(self.end)]
    }
}

/// An MLX matrix: quants, scales and biases are three tensors of the file.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) weight: ByteRange,
    pub(crate) scales: ByteRange,
    pub(crate) biases: ByteRange,
    /// The floating-point type that scales and biases are stored in.
    pub(crate) stored: Format,
    /// Bytes of the quants of one group.
    pub(crate) group_bytes: usize,
}
