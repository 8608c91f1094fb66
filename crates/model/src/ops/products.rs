//! Matrix products: which kernel serves one, and what it is given.

use super::{Act, Ops, narrow};
use crate::matrix::Matrix;
use crate::scratch::Spot;
use ridgeline_compute::Slice;
use ridgeline_kernels::kv_append::{self, KvAppend};
use ridgeline_kernels::mat_dot::{self, MatDot};
use ridgeline_kernels::mat_pair::{self, MatPair};
use ridgeline_kernels::{Epilogue, Layout, ProductChoice, SMALL_BATCH, mat_vec, product_for, stride};
use ridgeline_quant::Format;

/// What matrices are multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct Factor {
    act: Act,
    rows: u32,
    /// The same as bytes and the vec4 words of a row, where integer products are wanted.
    bytes: Option<(Slice, u32)>,
}

impl Ops<'_> {
    /// The first `rows` rows of x as a factor of matrices in these formats.
    pub(crate) fn factor(&mut self, x: Act, rows: u32, mut of: impl Iterator<Item = Format>) -> Factor {
        let unit = narrow(Format::BYTES.spec().block_len);
        let few = rows <= SMALL_BATCH && x.width.is_multiple_of(unit);
        let wanted = self.switches.integer && few && of.any(MatDot::takes);
        let bytes = wanted.then(|| self.bytes(x, rows));
        Factor { act: x, rows, bytes }
    }

    /// Rows of x as bytes, and the vec4 words of one: they are stored as the rows of a cache of one head.
    fn bytes(&mut self, x: Act, rows: u32) -> (Slice, u32) {
        let stride = stride(Format::BYTES, x.width as usize);
        let bytes = self.scratch.buffer(Spot::Bytes).slice(0, 16 * u64::from(rows) * u64::from(stride));
        let params = kv_append::Params {
            n_tokens: rows,
            n_heads: 1,
            head_dim: x.width,
            capacity: rows,
            position: 0,
            stride,
            ld: x.width,
            first: 0,
        };
        let kernel = KvAppend { format: Format::BYTES, lanes: 64, texture: false };
        self.recording.run(kernel, params, kv_append::Args { x: x.slice, cache: bytes });
        (bytes, stride)
    }

    /// x·Wᵀ: what `epilogue` makes of it goes into `to`, from column `first` on.
    pub(crate) fn product(
        &mut self,
        matrix: &Matrix,
        x: Factor,
        (to, first, epilogue): (Act, u32, Epilogue),
    ) {
        let (n_cols, n_vecs, stride, ld) = (matrix.cols, x.rows, matrix.stride, to.width);
        let halves = if epilogue == Epilogue::Gate { 2 } else { 1 };
        let epilogue = epilogue as u32;
        for piece in &matrix.pieces {
            let (n_rows, row0) = (piece.rows / halves, first + piece.row0);
            let (weights, y) = (piece.slice, to.slice);
            if let Some((bytes, x_stride)) = x.bytes.filter(|_| MatDot::takes(matrix.format)) {
                let kernel = MatDot::for_vectors(matrix.format, matrix.layout, self.caps, x.rows);
                let params = mat_dot::Params { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue, x_stride };
                self.recording.run(kernel, params, mat_dot::Args { weights, x: bytes, y });
                continue;
            }
            let choice = self.choice(matrix, (x.rows, piece.rows), halves == 2);
            let params = mat_vec::Params { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue };
            choice.record(self.recording, params, mat_vec::Args { weights, x: x.act.slice, y });
        }
    }

    /// x·Wᵀ of several matrices side by side.
    pub(crate) fn side_by_side(&mut self, matrices: &[(u32, Matrix)], x: Factor, to: Act) {
        for (row0, matrix) in matrices {
            self.product(matrix, x, (to, *row0, Epilogue::Store));
        }
    }

    /// x·Wᵀ of two matrices that differ in their formats alone, for one vector, in one launch; tells whether there is a
    /// kernel for them, made for GPUs.
    pub(crate) fn pair(&mut self, matrices: &[(u32, Matrix)], x: Factor, to: Act) -> bool {
        let [(_, upper), (row0, lower)] = matrices else { return false };
        let ([above], [below]) = (&*upper.pieces, &*lower.pieces) else { return false };
        let plain = [upper, lower].iter().all(|it| it.layout == Layout::Plain);
        let Some(kernel) = MatPair::new([upper.format, lower.format], self.caps) else { return false };
        if x.rows != 1 || x.bytes.is_some() || !plain || self.caps.software {
            return false;
        }
        debug_assert_eq!(*row0, upper.rows, "a stack has no gaps");
        let params = mat_pair::Params {
            upper_rows: upper.rows,
            lower_rows: lower.rows,
            n_cols: upper.cols,
            upper_stride: upper.stride,
            lower_stride: lower.stride,
        };
        let (upper, lower) = (above.slice, below.slice);
        self.recording.run(kernel, params, mat_pair::Args { upper, lower, x: x.act.slice, y: to.slice });
        true
    }

    /// Whether the kernel that serves a product can gate.
    pub(crate) fn can_gate(&self, matrix: &Matrix, x: Factor) -> bool {
        let integer = x.bytes.is_some() && MatDot::takes(matrix.format);
        integer || self.choice(matrix, (x.rows, matrix.rows), true).gates()
    }

    /// The kernel for so many vectors and rows of a matrix. One that was found to be the fastest but cannot gate where the
    /// usual one can is passed over there: it would cost a launch more.
    fn choice(&self, matrix: &Matrix, (n_vecs, n_rows): (u32, u32), gate: bool) -> ProductChoice {
        let choice = self.tuning.product_for(matrix.format, n_vecs, n_rows, self.caps);
        if gate && !choice.gates() && !choice.is_tiled() {
            return product_for(matrix.format, n_vecs, self.caps);
        }
        choice
    }
}
