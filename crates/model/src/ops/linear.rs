//! Linear operations x·Wᵀ: the choice of a mat-vec or matmul kernel and its operands.

use super::{Activation, Ops};
use crate::config::dim32;
use crate::matrix::WeightMatrix;
use crate::scratch::Temp;
use ridgeline_compute::Slice;
use ridgeline_kernels::kv_append::{self, KvAppend};
use ridgeline_kernels::mat_vec_dual::{self, MatVecDual};
use ridgeline_kernels::mat_vec_i8::{self, MatVecI8};
use ridgeline_kernels::{
    Activation as Function, Epilogue, LinearKernel, SMALL_BATCH, WeightLayout, linear_for, mat_vec, stride,
};
use ridgeline_quant::Format;

/// The activation operand of a linear operation.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    activation: Activation,
    /// Batch size: rows of the activation.
    rows: u32,
    /// The activation quantized to int8, with the vec4 words per row, for int8 dot products.
    bytes: Option<(Slice, u32)>,
}

impl Ops<'_> {
    /// The first `rows` rows of x as the operand of matrices in these quantization types. Quantizes them to
    /// int8 if one of the matrices uses int8 dot products.
    pub(crate) fn operand(
        &mut self,
        x: Activation,
        rows: u32,
        mut formats: impl Iterator<Item = Format>,
    ) -> Operand {
        let unit = dim32(Format::INT8_ACTIVATIONS.spec().block_len);
        let small = rows <= SMALL_BATCH && x.width.is_multiple_of(unit);
        let wanted = self.switches.int8_dot && small && formats.any(MatVecI8::takes);
        let bytes = wanted.then(|| self.quantize(x, rows));
        Operand { activation: x, rows, bytes }
    }

    /// Quantizes rows of x to int8 and returns them with the vec4 words per row. The kernel is `kv_append`:
    /// the rows are stored like a KV cache of one head.
    fn quantize(&mut self, x: Activation, rows: u32) -> (Slice, u32) {
        let stride = stride(Format::INT8_ACTIVATIONS, x.width as usize);
        let bytes = self.scratch.buffer(Temp::Bytes).slice(0, 16 * u64::from(rows) * u64::from(stride));
        let params = kv_append::Params {
            n_tokens: rows,
            // The first tokens of a sequence are in its first rows.
            token0: 0,
            n_heads: 1,
            head_dim: x.width,
            capacity: rows,
            end: rows,
            stride,
            ld: x.width,
            first: 0,
        };
        let kernel = KvAppend { format: Format::INT8_ACTIVATIONS, workgroup_size: 64, texture: false };
        self.recording.run(
            kernel,
            params,
            kv_append::Args { x: x.slice, tokens: self.token_table, cache: bytes },
        );
        (bytes, stride)
    }

    /// x·Wᵀ, combined by `epilogue` with `to` from column `first` on.
    pub(crate) fn linear(&mut self, matrix: &WeightMatrix, x: Operand, to: (Activation, u32, Epilogue)) {
        // Only the GLU epilogue uses the activation.
        self.linear_with(matrix, x, to, Function::Silu);
    }

    /// f(gate) ⊙ up of the stacked gate and up projections of x, stored in `to`.
    pub(crate) fn linear_glu(&mut self, matrix: &WeightMatrix, x: Operand, to: Activation, f: Function) {
        self.linear_with(matrix, x, (to, 0, Epilogue::Glu), f);
    }

    fn linear_with(
        &mut self,
        matrix: &WeightMatrix,
        x: Operand,
        (to, first, epilogue): (Activation, u32, Epilogue),
        activation: Function,
    ) {
        let (n_cols, n_vecs, stride, ld) = (matrix.cols, x.rows, matrix.stride, to.width);
        let halves = if epilogue == Epilogue::Glu { 2 } else { 1 };
        let epilogue = epilogue as u32;
        for chunk in &matrix.chunks {
            let (n_rows, row0) = (chunk.rows / halves, first + chunk.row0);
            let (weights, y) = (chunk.slice, to.slice);
            if let Some((bytes, x_stride)) = x.bytes.filter(|_| MatVecI8::takes(matrix.format)) {
                let kernel = MatVecI8::for_batch(matrix.format, matrix.layout, self.caps, x.rows);
                let kernel = MatVecI8 { activation, ..kernel };
                let params =
                    mat_vec_i8::Params { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue, x_stride };
                self.recording.run(kernel, params, mat_vec_i8::Args { weights, x: bytes, y });
                continue;
            }
            let kernel = self.kernel_for(matrix, (x.rows, chunk.rows), halves == 2);
            let kernel = kernel.with_activation(activation);
            let params = mat_vec::Params { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue };
            kernel.record(self.recording, params, mat_vec::Args { weights, x: x.activation.slice, y });
        }
    }

    /// x·Wᵀ of stacked matrices, one launch each.
    pub(crate) fn linear_each(&mut self, matrices: &[(u32, WeightMatrix)], x: Operand, to: Activation) {
        for (row0, matrix) in matrices {
            self.linear(matrix, x, (to, *row0, Epilogue::Store));
        }
    }

    /// Dual mat-vec: x·Wᵀ of two stacked matrices of different quantization types in one launch. Returns
    /// false, without recording anything, if no kernel applies.
    ///
    /// The kernels are for GPUs, one row of x, and plain layouts.
    pub(crate) fn linear_dual(
        &mut self,
        matrices: &[(u32, WeightMatrix)],
        x: Operand,
        to: Activation,
    ) -> bool {
        let [(_, upper), (row0, lower)] = matrices else { return false };
        let ([above], [below]) = (&*upper.chunks, &*lower.chunks) else { return false };
        let plain = [upper, lower].iter().all(|it| it.layout == WeightLayout::Plain);
        let Some(kernel) = MatVecDual::new([upper.format, lower.format], self.caps) else { return false };
        if x.rows != 1 || x.bytes.is_some() || !plain || self.caps.software {
            return false;
        }
        debug_assert_eq!(*row0, upper.rows, "stacked matrices have no gaps");
        let params = mat_vec_dual::Params {
            upper_rows: upper.rows,
            lower_rows: lower.rows,
            n_cols: upper.cols,
            upper_stride: upper.stride,
            lower_stride: lower.stride,
        };
        let (upper, lower) = (above.slice, below.slice);
        self.recording.run(
            kernel,
            params,
            mat_vec_dual::Args { upper, lower, x: x.activation.slice, y: to.slice },
        );
        true
    }

    /// Whether the kernel for this matrix has a GLU epilogue.
    pub(crate) fn can_glu(&self, matrix: &WeightMatrix, x: Operand) -> bool {
        let int8 = x.bytes.is_some() && MatVecI8::takes(matrix.format);
        int8 || self.kernel_for(matrix, (x.rows, matrix.rows), true).can_glu()
    }

    /// The kernel for a batch of `n_vecs` rows and a matrix of `n_rows` rows.
    ///
    /// A tuned mat-vec that lacks a GLU epilogue is replaced by the default where `glu` is wanted. Otherwise the
    /// activation would need another launch.
    fn kernel_for(&self, matrix: &WeightMatrix, (n_vecs, n_rows): (u32, u32), glu: bool) -> LinearKernel {
        let tuned = self.tuning.linear_for(matrix.format, n_vecs, n_rows, self.caps);
        if glu && !tuned.can_glu() && !tuned.is_tiled() {
            return linear_for(matrix.format, n_vecs, self.caps);
        }
        tuned
    }
}
