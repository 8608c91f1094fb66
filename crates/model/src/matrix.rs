//! Weights on a device.

use ridgeline_compute::{Buffer, Slice};
use ridgeline_kernels::WeightLayout;
use ridgeline_quant::Format;

/// Consecutive rows of a matrix in one binding.
#[derive(Clone, Debug)]
pub(crate) struct RowChunk {
    /// Keeps the memory alive.
    pub(crate) buffer: Buffer,
    /// The rows within it.
    pub(crate) slice: Slice,
    pub(crate) row0: u32,
    pub(crate) rows: u32,
}

/// A weight matrix \[rows, cols\] in one quantization type. A matrix beyond the device's binding limit is
/// split by rows into several chunks.
#[derive(Clone, Debug)]
pub struct WeightMatrix {
    pub(crate) chunks: Vec<RowChunk>,
    /// Quantization type.
    pub format: Format,
    /// Output features.
    pub rows: u32,
    /// Input features.
    pub cols: u32,
    /// Vec4 words per row on the device.
    pub(crate) stride: u32,
    /// Layout of the rows in a chunk.
    pub(crate) layout: WeightLayout,
}

impl WeightMatrix {
    /// Bytes in its quantization type, without padding.
    #[must_use]
    pub fn format_bytes(&self) -> u64 {
        u64::from(self.rows) * self.format.bytes(u64::from(self.cols))
    }
}

/// Fused linear layers: weight matrices with the same input, stacked by rows. Examples are Q, K and V, or gate and up.
///
/// Adjacent matrices of one quantization type share a buffer, so that one launch computes all of them. Two matrices of
/// different types share a launch only in a dual mat-vec, for some pairs of types.
#[derive(Clone, Debug)]
pub struct FusedLinear {
    /// The fewest matrices: (first row in the stack, matrix).
    pub(crate) merged: Vec<(u32, WeightMatrix)>,
    /// The original matrices, for unfused launches: (first row in the stack, matrix).
    pub(crate) parts: Vec<(u32, WeightMatrix)>,
    /// Total rows.
    pub rows: u32,
}

impl FusedLinear {
    /// Quantization types of the original matrices.
    pub(crate) fn formats(&self) -> impl Iterator<Item = Format> {
        self.parts.iter().map(|(_, matrix)| matrix.format)
    }
}

/// A weight vector in f32: the gain of a norm, a bias, or a concatenation of several.
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
