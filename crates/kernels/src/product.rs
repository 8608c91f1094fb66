//! What the matrix products share: sizes, test data and meaning of
//! `y[v, row0 + r] = Σ_c W[r, c] · x[v, c]`.

use crate::common::{bytes4, decode_row, device_bytes, dot, format_bytes, random_rows, small, stride};
use bytemuck::{Pod, Zeroable};
use ridgeline_compute::Sampler;
use ridgeline_quant::Format;

/// The parameter block of every product kernel, field by field.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Product {
    pub(crate) n_rows: u32,
    pub(crate) n_cols: u32,
    pub(crate) n_vecs: u32,
    pub(crate) stride: u32,
    pub(crate) ld: u32,
    pub(crate) row0: u32,
}

impl Product {
    /// Multiply-adds, counted twice.
    pub(crate) fn flops(self) -> u64 {
        2 * u64::from(self.n_rows) * u64::from(self.n_cols) * u64::from(self.n_vecs)
    }

    /// Unique bytes of W, x and y.
    pub(crate) fn traffic(self, format: Format) -> [u64; 3] {
        let vecs = u64::from(self.n_vecs);
        let weights = format_bytes(format, u64::from(self.n_rows), self.n_cols);
        [weights, bytes4(vecs * u64::from(self.n_cols)), bytes4(vecs * u64::from(self.n_rows))]
    }

    /// Bytes that W, x and y must hold.
    pub(crate) fn extent(self) -> [u64; 3] {
        let vecs = u64::from(self.n_vecs);
        let y = (vecs - 1) * u64::from(self.ld) + u64::from(self.row0) + u64::from(self.n_rows);
        let weights = device_bytes(u64::from(self.n_rows), self.stride);
        [weights, bytes4(vecs * u64::from(self.n_cols)), bytes4(y)]
    }

    /// A random ragged product of up to `max_vecs` vectors, with W and x.
    pub(crate) fn sample(rng: &mut Sampler, format: Format, max_vecs: u32) -> (Self, Vec<Vec<u32>>) {
        let unit = small(format.spec().part.max(format.spec().block_len));
        // At least up to three blocks, so that planes of several blocks are met in every format.
        let n_cols = rng.range(1, (160 / unit).max(2) + 1) * unit;
        let (n_rows, n_vecs, row0) = (rng.range(1, 70), rng.range(1, max_vecs), rng.range(0, 3));
        let ld = row0 + n_rows + rng.range(0, 5);
        let product = Self { n_rows, n_cols, n_vecs, stride: stride(format, n_cols as usize), ld, row0 };
        let weights = random_rows(rng, format, n_rows, n_cols);
        (product, vec![weights, rng.words((n_vecs * n_cols) as usize), vec![]])
    }

    /// The product, row by row.
    pub(crate) fn reference(self, format: Format, weights: &[u32], x: &[f32], y: &mut [f32]) {
        let cols = self.n_cols as usize;
        let mut row = vec![0.0; cols];
        for r in 0..self.n_rows {
            decode_row(format, weights, r, self.stride, &mut row);
            for v in 0..self.n_vecs {
                y[(v * self.ld + self.row0 + r) as usize] = dot(&row, &x[v as usize * cols..][..cols]);
            }
        }
    }
}
