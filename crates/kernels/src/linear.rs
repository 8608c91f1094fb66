//! What the matrix products share: sizes, test data and meaning of
//! `y[v, row0 + r] = Σ_c W[r, c] · x[v, c]`, and what becomes of the sums.

use crate::common::{bytes4, dot, format_bytes, random_rows, small, stride};
use crate::layout::{WeightLayout, decode_layout_row, to_layout};
use crate::swi_glu::{SWIGLU_FLOPS, swiglu};
use bytemuck::{Pod, Zeroable};
use ridgeline_compute::TestRng;
use ridgeline_quant::Format;

/// What becomes of the sums of a product; the value of its parameter `epilogue`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum Epilogue {
    /// They are stored.
    Store = 0,
    /// They are added to what y holds: the residual stream.
    Add = 1,
    /// W has 2 · `n_rows` rows: y becomes silu of the sum of row r, times the sum of row `n_rows` + r (SwiGLU).
    SwiGlu = 2,
}

impl Epilogue {
    /// The epilogues of a kernel that can, or cannot, pair the gate and up rows that SwiGLU needs.
    pub(crate) const fn supported(swiglu: bool) -> &'static [Self] {
        if swiglu { &[Self::Store, Self::Add, Self::SwiGlu] } else { &[Self::Store, Self::Add] }
    }
}

/// Most rows of a test's matrix where nothing asks for more.
pub(crate) const ROWS: u32 = 70;

/// The parameter block of every product kernel, field by field.
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

/// The members of [`Kernel`](ridgeline_compute::Kernel) that the f32 linear kernels share: `flops`, `traffic`,
/// `min_binding_size`, `sample` and `reference`. It stands inside `impl Kernel`, in a module whose `Params` are a
/// [`LinearShape`] and whose bindings are `weights`, `x` and `y`.
///
/// `test_size` gives the most rows and vectors of a random input, `epilogues` what it may end in.
macro_rules! linear_members {
    (layout: $layout:expr, test_size: |$this:ident| $test_size:expr, epilogues: $epilogues:expr $(,)?) => {
        fn flops(&self, p: &Params) -> u64 {
            LinearShape::of(p).flops()
        }
        fn traffic(&self, p: &Params) -> Bytes {
            let [weights, x, y] = LinearShape::of(p).traffic(self.format);
            Bytes { weights, x, y }
        }
        fn min_binding_size(&self, p: &Params) -> Bytes {
            let [weights, x, y] = LinearShape::of(p).min_binding_size($layout);
            Bytes { weights, x, y }
        }
        fn sample(&self, rng: &mut TestRng) -> TestInput<Params> {
            let $this = self;
            let (shape, bindings) = LinearShape::sample(rng, ($this.format, $layout), $test_size, $epilogues);
            TestInput { params: bytemuck::cast(shape), bindings }
        }
        fn reference(&self, p: &Params, host: Host<'_>) {
            LinearShape::of(p).reference((self.format, $layout), host.weights, host.x, host.y);
        }
    };
}
pub(crate) use linear_members;

impl LinearShape {
    /// The shape in the parameter block of a kernel that has the same fields.
    pub(crate) fn of<P: Pod>(params: &P) -> Self {
        bytemuck::cast(*params)
    }

    const fn is_swiglu(self) -> bool {
        self.epilogue == Epilogue::SwiGlu as u32
    }

    /// Rows of W.
    fn weight_rows(self) -> u64 {
        u64::from(self.n_rows) * if self.is_swiglu() { 2 } else { 1 }
    }

    /// Multiply-adds, counted twice, and what the epilogue does.
    pub(crate) fn flops(self) -> u64 {
        let outputs = u64::from(self.n_rows) * u64::from(self.n_vecs);
        let epilogue = match self.epilogue {
            e if e == Epilogue::Add as u32 => outputs,
            e if e == Epilogue::SwiGlu as u32 => SWIGLU_FLOPS * outputs,
            _ => 0,
        };
        2 * self.weight_rows() * u64::from(self.n_cols) * u64::from(self.n_vecs) + epilogue
    }

    /// Unique bytes of W, x and y.
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

    /// A random ragged product of up to so many rows and vectors with one of the epilogues, with W, x and y.
    pub(crate) fn sample(
        rng: &mut TestRng,
        (format, layout): (Format, WeightLayout),
        [max_rows, max_vecs]: [u32; 2],
        epilogues: &[Epilogue],
    ) -> (Self, Vec<Vec<u32>>) {
        let unit = small(format.spec().unpack_len.max(format.spec().block_len));
        // At least up to three blocks, so that planes of several blocks are met in every format.
        let n_cols = rng.range(1, (160 / unit).max(2) + 1) * unit;
        let epilogue = rng.pick(epilogues);
        // The product of two sums that nearly cancel has no accuracy by itself; among a few it does not count.
        let least = if epilogue == Epilogue::SwiGlu { 8 } else { 1 };
        let (n_rows, n_vecs, row0) = (rng.range(least, max_rows), rng.range(1, max_vecs), rng.range(0, 3));
        let (ld, epilogue) = (row0 + n_rows + rng.range(0, 5), epilogue as u32);
        let stride = stride(format, n_cols as usize);
        let product = Self { n_rows, n_cols, n_vecs, stride, ld, row0, epilogue };
        let weights =
            to_layout(layout, &random_rows(rng, format, small(product.weight_rows()), n_cols), stride);
        let y = rng.words(small(product.min_binding_size(layout)[2] / 4) as usize);
        (product, vec![weights, rng.words((n_vecs * n_cols) as usize), y])
    }

    /// The product, row by row.
    pub(crate) fn reference(self, of: (Format, WeightLayout), weights: &[u32], x: &[f32], y: &mut [f32]) {
        let cols = self.n_cols as usize;
        let (mut row, mut upper) = (vec![0.0; cols], vec![0.0; cols]);
        for r in 0..self.n_rows {
            decode_layout_row(of, weights, (r, self.stride), &mut row);
            if self.is_swiglu() {
                decode_layout_row(of, weights, (self.n_rows + r, self.stride), &mut upper);
            }
            for (v, x) in x.chunks_exact(cols).take(self.n_vecs as usize).enumerate() {
                let y = &mut y[v * self.ld as usize + (self.row0 + r) as usize];
                let sum = dot(&row, x);
                *y = match self.epilogue {
                    e if e == Epilogue::Add as u32 => *y + sum,
                    e if e == Epilogue::SwiGlu as u32 => swiglu(f64::from(sum), f64::from(dot(&upper, x))),
                    _ => sum,
                };
            }
        }
    }
}
