//! Shared by the kernels of a linear layer, `y[v, row0 + r] = Σ_c W[r, c] · x[v, c]`: epilogues, sizes, costs, test
//! inputs and the CPU reference.

use crate::activation::Activation;
use crate::common::{bytes4, dot, format_bytes, random_rows, stride, to_u32};
use crate::glu::{glu, glu_flops};
use crate::layout::{WeightLayout, decode_layout_row, to_layout};
use bytemuck::{Pod, Zeroable};
use ridgeline_compute::TestRng;
use ridgeline_quant::Format;

/// What a linear kernel does with its sums: the value of the parameter `epilogue`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum Epilogue {
    /// y = sum.
    Store = 0,
    /// y += sum: the residual connection.
    Add = 1,
    /// y = f(sum of row r) · (sum of row `n_rows` + r), where f is the variant's activation. W has 2 · `n_rows` rows: the
    /// gate matrix, then the up matrix.
    Glu = 2,
}

impl Epilogue {
    /// The epilogues of a kernel. `glu`: whether a gate row and its up row are in the same reduction group.
    pub(crate) const fn supported(glu: bool) -> &'static [Self] {
        if glu { &[Self::Store, Self::Add, Self::Glu] } else { &[Self::Store, Self::Add] }
    }
}

/// Default maximum of rows of a test matrix.
pub(crate) const MAX_TEST_ROWS: u32 = 70;

/// The fields of every linear kernel's `Params` in the same order, so that `bytemuck::cast` converts them.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct LinearShape {
    pub(crate) n_rows: u32,
    pub(crate) n_cols: u32,
    pub(crate) n_vecs: u32,
    pub(crate) stride: u32,
    pub(crate) ld: u32,
    pub(crate) row0: u32,
    pub(crate) epilogue: u32,
}

/// Implements `flops`, `traffic`, `min_binding_size`, `test_input` and `reference` for linear kernels with f32
/// activations. Use it inside `impl Kernel`. The module's `Params` must match [`LinearShape`], and its bindings are
/// `weights`, `x` and `y`.
///
/// `test_size` is the maximum of rows and of vectors in a test, `epilogues` the epilogues to test. `activation` is that of
/// the GLU epilogue, and any where there is none.
macro_rules! linear_members {
    (
        layout: $layout:expr, activation: |$that:ident| $activation:expr, test_size: |$this:ident| $test_size:expr,
        epilogues: $epilogues:expr $(,)?
    ) => {
        fn flops(&self, p: &Params) -> u64 {
            let $that = self;
            LinearShape::of(p).flops($activation)
        }
        fn traffic(&self, p: &Params) -> Bytes {
            let [weights, x, y] = LinearShape::of(p).traffic(self.format);
            Bytes { weights, x, y }
        }
        fn min_binding_size(&self, p: &Params) -> Bytes {
            let [weights, x, y] = LinearShape::of(p).min_binding_size($layout);
            Bytes { weights, x, y }
        }
        fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
            let $this = self;
            let (shape, bindings) = LinearShape::sample(rng, ($this.format, $layout), $test_size, $epilogues);
            TestInput { params: bytemuck::cast(shape), bindings }
        }
        fn reference(&self, p: &Params, host: Host<'_>) {
            let $that = self;
            let of = (self.format, $layout, $activation);
            LinearShape::of(p).reference(of, host.weights, host.x, host.y);
        }
    };
}
pub(crate) use linear_members;

impl LinearShape {
    /// The shape in the parameter block of a kernel that has the same fields.
    pub(crate) fn of<P: Pod>(params: &P) -> Self {
        bytemuck::cast(*params)
    }

    const fn is_glu(self) -> bool {
        self.epilogue == Epilogue::Glu as u32
    }

    /// Rows of W.
    fn weight_rows(self) -> u64 {
        u64::from(self.n_rows) * if self.is_glu() { 2 } else { 1 }
    }

    /// Two operations per multiply-add, plus those of the epilogue.
    pub(crate) fn flops(self, activation: Activation) -> u64 {
        let outputs = u64::from(self.n_rows) * u64::from(self.n_vecs);
        let epilogue = match self.epilogue {
            e if e == Epilogue::Add as u32 => outputs,
            e if e == Epilogue::Glu as u32 => glu_flops(activation) * outputs,
            _ => 0,
        };
        2 * self.weight_rows() * u64::from(self.n_cols) * u64::from(self.n_vecs) + epilogue
    }

    /// Bytes of W, x and y that move at least, without repeated reads.
    pub(crate) fn traffic(self, format: Format) -> [u64; 3] {
        let vecs = u64::from(self.n_vecs);
        let weights = format_bytes(format, self.weight_rows(), self.n_cols);
        let times = if self.epilogue == Epilogue::Add as u32 { 2 } else { 1 };
        [weights, bytes4(vecs * u64::from(self.n_cols)), times * bytes4(vecs * u64::from(self.n_rows))]
    }

    /// Bytes that W, x and y must hold.
    pub(crate) fn min_binding_size(self, layout: WeightLayout) -> [u64; 3] {
        let vecs = u64::from(self.n_vecs);
        let y = (vecs - 1) * u64::from(self.ld) + u64::from(self.row0) + u64::from(self.n_rows);
        [layout.bytes(self.weight_rows(), self.stride), bytes4(vecs * u64::from(self.n_cols)), bytes4(y)]
    }

    /// A random ragged shape of at most `max_rows` and `max_vecs`, with one of the epilogues, and words of W, x and y.
    pub(crate) fn sample(
        rng: &mut TestRng,
        (format, layout): (Format, WeightLayout),
        [max_rows, max_vecs]: [u32; 2],
        epilogues: &[Epilogue],
    ) -> (Self, Vec<Vec<u32>>) {
        let unit = to_u32(format.spec().unpack_len.max(format.spec().block_len));
        // The maximum is at least three blocks, so that planes (`shared/plane.wgsl`) of several blocks are tested.
        let n_cols = rng.range(1, (160 / unit).max(2) + 1) * unit;
        let epilogue = rng.pick(epilogues);
        // The tolerance is relative to the largest output. With few outputs all sums may nearly cancel, and a GLU of
        // such sums has no accurate digits.
        let least = if epilogue == Epilogue::Glu { 8 } else { 1 };
        let (n_rows, n_vecs, row0) = (rng.range(least, max_rows), rng.range(1, max_vecs), rng.range(0, 3));
        let (ld, epilogue) = (row0 + n_rows + rng.range(0, 5), epilogue as u32);
        let stride = stride(format, n_cols as usize);
        let shape = Self { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue };
        let weights =
            to_layout(layout, &random_rows(rng, format, to_u32(shape.weight_rows()), n_cols), stride);
        let y = rng.words(to_u32(shape.min_binding_size(layout)[2] / 4) as usize);
        (shape, vec![weights, rng.words((n_vecs * n_cols) as usize), y])
    }

    /// The twin: one dot product per output.
    pub(crate) fn reference(
        self,
        (format, layout, activation): (Format, WeightLayout, Activation),
        weights: &[u32],
        x: &[f32],
        y: &mut [f32],
    ) {
        let of = (format, layout);
        let cols = self.n_cols as usize;
        let (mut row, mut up_row) = (vec![0.0; cols], vec![0.0; cols]);
        for r in 0..self.n_rows {
            decode_layout_row(of, weights, (r, self.stride), &mut row);
            if self.is_glu() {
                decode_layout_row(of, weights, (self.n_rows + r, self.stride), &mut up_row);
            }
            for (v, x) in x.chunks_exact(cols).take(self.n_vecs as usize).enumerate() {
                let y = &mut y[v * self.ld as usize + (self.row0 + r) as usize];
                let sum = dot(&row, x);
                *y = match self.epilogue {
                    e if e == Epilogue::Add as u32 => *y + sum,
                    e if e == Epilogue::Glu as u32 => {
                        glu(activation, f64::from(sum), f64::from(dot(&up_row, x)))
                    }
                    _ => sum,
                };
            }
        }
    }
}
