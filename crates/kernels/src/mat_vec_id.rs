//! Mat-vec (GEMV) with the matrix chosen by an id: the linear layers of a mixture of experts (`MUL_MAT_ID` in ggml). For
//! large batches there is [`MatMulId`](crate::mat_mul_id::MatMulId).

use crate::activation::Activation;
use crate::common::{Reduce, bytes4, dot, format_bytes, random_rows, stride, tables, to_u32, with_format, with_tables};
use crate::glu::{glu, glu_flops};
use crate::layout::{WeightLayout, decode_layout_row, to_layout};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;
use std::collections::HashSet;

kernel! {
    /// y\[p, row0 + r\] = Σ_c W\[e, r, c\] · x\[p / share, c\] with e = experts\[p\]. The `n_pairs` pairs are those of a token and
    /// one of its `top_k` experts. Of `all_experts`, this launch has the `n_experts` from `expert0` on: those beyond the binding
    /// limit are split. For other pairs y stays unchanged. Row r of expert e is row (e − `expert0`) · `expert_rows` + r of the matrix
    /// `weights`. `share` pairs in sequence have one row of x: `top_k` where all experts of a token read the same input, else 1.
    ///
    /// With `gated` = 1, y\[p, row0 + r\] = f(gate row) · (up row), where f is the `activation`. The gate row is the one above, and
    /// the up row lies `up_row` rows below it. So the gates of all experts may precede all ups, or each expert's its ups.
    ///
    /// A reduction group computes `rows` rows, an even number, and a workgroup `blocks` times as many. `stride` counts vec4s
    /// per row of W, `ld` floats per row of y. With `table`, levels of quants are looked up in workgroup memory.
    pub struct MatVecId("mat_vec_id") {
        format: Format, layout: WeightLayout, activation: Activation, reduce: Reduce, workgroup_size: u32, blocks: u32,
        rows: u32, table: bool,
    }
    params {
        n_rows: u32, n_cols: u32, n_pairs: u32, top_k: u32, share: u32, stride: u32, ld: u32, row0: u32, expert0: u32,
        n_experts: u32, all_experts: u32, expert_rows: u32, up_row: u32, gated: u32,
    }
    bindings {
        weights: read array<vec4<u32>>, x: read array<vec4<f32>>, experts: read array<u32>, y: write array<f32>,
    }
}

impl MatVecId {
    /// The default variant for matrices of `format` in `layout` on this device, with the activation of SwiGLU.
    #[must_use]
    pub fn new(format: Format, layout: WeightLayout, caps: &Caps) -> Self {
        Self::with(format, layout, Reduce::all(caps)[0], caps)
    }

    pub(crate) fn with(format: Format, layout: WeightLayout, reduce: Reduce, caps: &Caps) -> Self {
        let (workgroup_size, blocks) = (64, reduce.groups_per_workgroup(caps, 64));
        let table = tables(format, caps)[0];
        Self { format, layout, activation: Activation::Silu, reduce, workgroup_size, blocks, rows: 4, table }
    }

    /// Bytes of the rows that one expert contributes.
    pub(crate) fn expert_bytes(&self, p: &Params) -> u64 {
        format_bytes(self.format, matrices(p) * u64::from(p.n_rows), p.n_cols)
    }
}

impl Kernel for MatVecId {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for layout in [WeightLayout::Plain, WeightLayout::Interleaved] {
            for &reduce in Reduce::all(caps) {
                all.extend(Format::ALL.iter().map(|&format| Self::with(format, layout, reduce, caps)));
            }
        }
        // The epilogue does not depend on the type of the weights.
        let one = Self::new(Format::HALF, WeightLayout::Plain, caps);
        all.extend(Activation::ALL[1..].iter().map(|&activation| Self { activation, ..one }));
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(self.reduce.define(Defines::new(self.workgroup_size)), "weights_file", self.format);
        let d = with_tables(self.activation.define(self.layout.define(d)), [("weights", self.table)]);
        d.u32("BLOCKS", self.blocks).u32("ROWS", self.rows)
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "weights" && self.layout.in_texture()
    }
    fn groups(&self, p: &Params) -> u64 {
        let outputs = if p.gated == 0 { self.rows } else { self.rows / 2 };
        u64::from(p.n_rows.div_ceil(self.blocks * outputs)) * u64::from(p.n_pairs)
    }
    fn flops(&self, p: &Params) -> u64 {
        let outputs = u64::from(p.n_rows) * u64::from(p.n_pairs);
        let epilogue = if p.gated == 0 { 0 } else { glu_flops(self.activation) };
        share_of(p, outputs * (2 * matrices(p) * u64::from(p.n_cols) + epilogue))
    }
    /// The experts of one token are distinct, and those of all tokens may be the same. So the weights of `top_k` experts are
    /// the least, and exact for one token. Where experts are split, each launch has its share of them.
    fn traffic(&self, p: &Params) -> Bytes {
        let weights = u64::from(p.top_k.min(p.n_pairs)) * self.expert_bytes(p);
        let y = bytes4(u64::from(p.n_pairs) * u64::from(p.n_rows));
        let [weights, x, y] = [weights, x_bytes(p), y].map(|bytes| share_of(p, bytes));
        Bytes { weights, x, experts: bytes4(u64::from(p.n_pairs)), y }
    }
    /// Each expert that the pairs name and this launch has is read once.
    fn traffic_given(&self, p: &Params, contents: &[Option<&[u32]>]) -> Bytes {
        let [_, _, Some(experts), _] = *contents else { return self.traffic(p) };
        let named = experts.iter().take(p.n_pairs as usize);
        let here = named.filter(|&&e| (p.expert0..p.expert0 + p.n_experts).contains(&e));
        let distinct = here.collect::<HashSet<_>>().len() as u64;
        Bytes { weights: distinct * self.expert_bytes(p), ..self.traffic(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let y = u64::from(p.n_pairs - 1) * u64::from(p.ld) + u64::from(p.row0) + u64::from(p.n_rows);
        let weights = self.layout.bytes(weight_rows(p), p.stride);
        Bytes { weights, x: x_bytes(p), experts: bytes4(u64::from(p.n_pairs)), y: bytes4(y) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let unit = to_u32(self.format.spec().unpack_len.max(self.format.spec().block_len));
        let n_cols = rng.range(1, (160 / unit).max(2) + 1) * unit;
        let gated = rng.range(0, 1);
        // As in the linear kernels: with few outputs of a GLU, none may have accurate digits.
        let (n_rows, n_experts) = (rng.range(if gated == 1 { 8 } else { 1 }, 40), rng.range(1, 5));
        let (expert0, after) = (rng.range(0, 2), rng.range(0, 2));
        let all_experts = expert0 + n_experts + after;
        let (top_k, n_tokens) = (rng.range(1, all_experts), rng.range(1, 4));
        let n_pairs = n_tokens * top_k;
        // All gates before all ups, or expert by expert.
        let (expert_rows, up_row) =
            if rng.range(0, 1) == 0 { (n_rows, n_experts * n_rows) } else { ((1 + gated) * n_rows, n_rows) };
        let share = rng.pick(&[1, top_k]);
        let stride = stride(self.format, n_cols as usize);
        let row0 = rng.range(0, 3);
        let ld = row0 + n_rows + rng.range(0, 5);
        let params = Params {
            n_rows, n_cols, n_pairs, top_k, share, stride, ld, row0, expert0, n_experts, all_experts, expert_rows,
            up_row, gated,
        };
        let rows = random_rows(rng, self.format, to_u32(weight_rows(&params)), n_cols);
        let x = rng.words((n_pairs / share * n_cols) as usize);
        let experts = (0..n_pairs).map(|_| rng.range(0, all_experts - 1)).collect();
        TestInput { params, bindings: vec![to_layout(self.layout, &rows, stride), x, experts, vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (rows, cols) = (p.row0 as usize..(p.row0 + p.n_rows) as usize, p.n_cols as usize);
        let (mut row, mut up_row) = (vec![0.0; cols], vec![0.0; cols]);
        let of = (self.format, self.layout);
        for ((pair, y), &expert) in host.y.chunks_mut(p.ld as usize).enumerate().zip(host.experts) {
            let Some(expert) = expert.checked_sub(p.expert0).filter(|&expert| expert < p.n_experts) else { continue };
            let x = &host.x[pair / p.share as usize * cols..][..cols];
            for (r, y) in (expert * p.expert_rows..).zip(&mut y[rows.clone()]) {
                decode_layout_row(of, host.weights, (r, p.stride), &mut row);
                *y = dot(&row, x);
                if p.gated != 0 {
                    decode_layout_row(of, host.weights, (r + p.up_row, p.stride), &mut up_row);
                    *y = glu(self.activation, f64::from(*y), f64::from(dot(&up_row, x)));
                }
            }
        }
    }
}

/// The share of this launch in a total over all experts. The shares of all launches add up to the total.
fn share_of(p: &Params, total: u64) -> u64 {
    let up_to = |experts: u32| total * u64::from(experts) / u64::from(p.all_experts);
    up_to(p.expert0 + p.n_experts) - up_to(p.expert0)
}

/// Bytes of all rows of x.
fn x_bytes(p: &Params) -> u64 {
    bytes4(u64::from(p.n_pairs / p.share) * u64::from(p.n_cols))
}

/// Matrices that an output needs: one, or gate and up.
const fn matrices(p: &Params) -> u64 {
    if p.gated == 0 { 1 } else { 2 }
}

/// Rows of W up to the last that the kernel may read.
fn weight_rows(p: &Params) -> u64 {
    let up = if p.gated == 0 { 0 } else { p.up_row };
    u64::from(p.n_experts - 1) * u64::from(p.expert_rows) + u64::from(up) + u64::from(p.n_rows)
}
