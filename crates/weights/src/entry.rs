//! The directory of a checkpoint as its readers (`gguf`, `hf`) hand it over: one entry per tensor.

use std::{borrow::Cow, path::PathBuf};

use ridgeline_quant::Format;

use crate::{Metadata, gather::Order, map::Map, value::narrow};

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
    /// The files of `maps`, in their order.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) tokenizer_json: Option<PathBuf>,
    /// What was left out or is not known, one sentence each.
    pub(crate) notes: Vec<String>,
}

impl Parts {
    /// Parts of a checkpoint without files.
    pub(crate) const fn new(metadata: Metadata, entries: Vec<TensorEntry>) -> Self {
        Self {
            metadata,
            entries,
            maps: Vec::new(),
            files: Vec::new(),
            tokenizer_json: None,
            notes: Vec::new(),
        }
    }
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
    /// One range of a mapped file in double precision, rounded to single precision on request.
    Double(ByteRange),
    /// Three ranges of mapped files, interleaved on request.
    Affine(Box<Affine>),
    /// Tensors of a folder that GGUF has in another form, computed on request.
    Derived(Box<Derived>),
    /// Generated on request from a seed.
    Random,
}

/// Values in double precision, rounded to single precision.
pub(crate) fn narrowed(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&it| narrow(f64::from_le_bytes(it))).collect()
}

impl Storage {
    /// The bytes; `None` for those that are generated.
    pub(crate) fn bytes<'a>(&self, maps: &'a [Map]) -> Option<Cow<'a, [u8]>> {
        Some(match self {
            Self::Mapped(range) => Cow::Borrowed(range.bytes(maps)),
            Self::Double(range) => {
                Cow::Owned(narrowed(range.bytes(maps)).into_iter().flat_map(f32::to_le_bytes).collect())
            }
            Self::Affine(affine) => Cow::Owned(affine.bytes(maps)),
            Self::Derived(derived) => Cow::Owned(derived.bytes(maps)?),
            Self::Random => return None,
        })
    }

    /// Keeps the first `rows` of `of` rows.
    pub(crate) fn truncate(&mut self, rows: usize, of: usize) {
        let cut = |range: &mut ByteRange| {
            range.end = range.start + (range.end - range.start) / of as u64 * rows as u64;
        };
        match self {
            Self::Mapped(range) | Self::Double(range) => cut(range),
            Self::Affine(affine) => {
                [&mut affine.weight, &mut affine.scales, &mut affine.biases].into_iter().for_each(cut);
            }
            // No embedding and no head is derived.
            Self::Derived(_) | Self::Random => {}
        }
    }

    /// The same storage in another mapped file.
    pub(crate) fn in_map(self, map: usize) -> Self {
        match self {
            Self::Mapped(range) => Self::Mapped(ByteRange { map, ..range }),
            Self::Double(range) => Self::Double(ByteRange { map, ..range }),
            other => other,
        }
    }

    /// The byte range of a tensor that is stored in one piece.
    pub(crate) const fn range(&self) -> Option<ByteRange> {
        match *self {
            Self::Mapped(range) | Self::Double(range) => Some(range),
            Self::Affine(_) | Self::Derived(_) | Self::Random => None,
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

impl Affine {
    /// The blocks of the affine format, as `ridgeline-quant` defines them: quants, scale and bias of each group.
    fn bytes(&self, maps: &[Map]) -> Vec<u8> {
        let step = self.stored.spec().block_bytes;
        let [scales, biases] = [self.scales, self.biases].map(|it| it.bytes(maps).chunks_exact(step));
        let quants = self.weight.bytes(maps).chunks_exact(self.group_bytes);
        let mut blocks = Vec::with_capacity(quants.len() * (self.group_bytes + 8));
        let mut single = [0.0];
        for ((quants, scale), bias) in quants.zip(scales).zip(biases) {
            blocks.extend_from_slice(quants);
            for field in [scale, bias] {
                (self.stored.spec().decode)(field, &mut single);
                blocks.extend(single[0].to_le_bytes());
            }
        }
        blocks
    }
}

/// A tensor in GGUF's form that a folder has in another one.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    /// The stored tensors, one behind the other: several for stacked experts.
    pub(crate) parts: Vec<Storage>,
    /// Their quantization type.
    pub(crate) stored: Format,
    /// The order of the weights; `None` for the stored one. Its units have whole blocks.
    pub(crate) order: Option<Order>,
    /// A function of each weight. Its results are in single precision.
    pub(crate) map: Option<fn(f32) -> f32>,
}

impl Derived {
    fn bytes(&self, maps: &[Map]) -> Option<Vec<u8>> {
        let mut parts = self.parts.iter().map(|it| it.bytes(maps)).collect::<Option<Vec<_>>>()?;
        let stored = if parts.len() == 1 { parts.swap_remove(0) } else { Cow::Owned(parts.concat()) };
        let spec = self.stored.spec();
        let ordered = match &self.order {
            Some(order) => Cow::Owned(order.apply(&stored, order.unit / spec.block_len * spec.block_bytes)),
            None => stored,
        };
        let Some(map) = self.map else { return Some(ordered.into_owned()) };
        let mut values = vec![0.0; ordered.len() / spec.block_bytes * spec.block_len];
        (spec.decode)(&ordered, &mut values);
        Some(values.into_iter().flat_map(|it| map(it).to_le_bytes()).collect())
    }
}
