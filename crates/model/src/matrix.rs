//! Weights on the device.

use ridgeline_compute::{Buffer, Slice};
use ridgeline_kernels::WeightLayout;
use ridgeline_quant::Format;

/// A consecutive run of a matrix's rows in one binding.
#[derive(Clone, Debug)]
pub(crate) struct RowChunk {
    /// Keeps the memory.
    pub(crate) buffer: Buffer,
    /// Where in it the rows lie.
    pub(crate) slice: Slice,
    pub(crate) row0: u32,
    pub(crate) rows: u32,
}

/// A weight matrix \[rows, cols\] in its own number format. One larger than the device's binding limit is held in
/// several chunks, split by rows.
#[derive(Clone, Debug)]
pub struct WeightMatrix {
    pub(crate) chunks: Vec<RowChunk>,
    /// Number format of the elements.
    pub format: Format,
    /// Rows: the length of the product.
    pub rows: u32,
    /// Columns: the length of the vectors it is multiplied with.
    pub cols: u32,
    /// Vec4 words per device row.
    pub(crate) stride: u32,
    /// How the rows of a chunk lie.
    pub(crate) layout: WeightLayout,
}

impl WeightMatrix {
    /// Bytes of the number format, without padding.
    #[must_use]
    pub fn format_bytes(&self) -> u64 {
        u64::from(self.rows) * self.format.bytes(u64::from(self.cols))
    }
}

/// Matrices that multiply the same vectors, one below the other: queries, keys and values, or a gate and what it
/// gates. Neighbours of one number format lie in one buffer, so that one launch serves them; two formats are served by
/// one launch where there is a kernel for the pair.
#[derive(Clone, Debug)]
pub struct FusedLinear {
    /// As few matrices as possible, each with the row of the stack that it begins with.
    pub(crate) merged: Vec<(u32, WeightMatrix)>,
    /// The matrices that were stacked, each by itself.
    pub(crate) parts: Vec<(u32, WeightMatrix)>,
    /// Rows of all of them.
    pub rows: u32,
}

impl FusedLinear {
    /// Number formats of its matrices.
    pub(crate) fn formats(&self) -> impl Iterator<Item = Format> {
        self.parts.iter().map(|(_, matrix)| matrix.format)
    }
}

/// A weight vector in f32: the gain of a norm, a bias, or several of them one after the other.
#[derive(Clone, Debug)]
pub struct Vector {
    pub(crate) buffer: Buffer,
    /// Its length.
    pub len: u32,
}

impl Vector {
    pub(crate) fn slice(&self) -> Slice {
        self.buffer.all()
    }
}
