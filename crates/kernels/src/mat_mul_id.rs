//! Matmul (GEMM) with the matrix chosen by an id: the linear layers of a mixture of experts for large batches
//! (`MUL_MAT_ID` in ggml).

use crate::activation::Activation;
use crate::common::{Reduce, bytes4, with_format, with_tables};
use crate::group_by_expert::grouped;
use crate::layout::WeightLayout;
use crate::mat_vec_id::{self, MatVecId};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// Computes the same as [`MatVecId`], with the same parameters, from pairs that
    /// [`GroupByExpert`](crate::group_by_expert::GroupByExpert) sorted by expert. `order` has their indices. Those of expert e
    /// begin at starts\[e\]. A reduction group decodes `rows` rows of an expert once for `vecs` of its pairs. With `table`, levels of
    /// quants are looked up in workgroup memory.
    pub struct MatMulId("mat_mul_id") {
        format: Format, layout: WeightLayout, activation: Activation, reduce: Reduce, workgroup_size: u32, blocks: u32,
        rows: u32, vecs: u32, table: bool,
    }
    params {
        n_rows: u32, n_cols: u32, n_pairs: u32, top_k: u32, share: u32, stride: u32, ld: u32, row0: u32, expert0: u32,
        n_experts: u32, all_experts: u32, expert_rows: u32, up_row: u32, gated: u32,
    }
    bindings {
        weights: read array<vec4<u32>>, x: read array<vec4<f32>>, order: read array<u32>, starts: read array<u32>,
        y: write array<f32>,
    }
}

impl MatMulId {
    /// The variant for matrices of `format` in `layout` on this device, with the activation of SwiGLU.
    #[must_use]
    pub fn new(format: Format, layout: WeightLayout, caps: &Caps) -> Self {
        Self::with(format, layout, Reduce::all(caps)[0], caps)
    }

    fn with(format: Format, layout: WeightLayout, reduce: Reduce, caps: &Caps) -> Self {
        let MatVecId { activation, workgroup_size, blocks, table, .. } = MatVecId::with(format, layout, reduce, caps);
        // As in `linear_for`: at most 32 accumulators on a GPU.
        let rows = if caps.software { 8 } else { 4 };
        Self { format, layout, activation, reduce, workgroup_size, blocks, rows, vecs: 8, table }
    }

    /// The kernel that computes the same pair by pair.
    const fn pair_by_pair(&self) -> MatVecId {
        let Self { format, layout, activation, reduce, workgroup_size, blocks, rows, table, .. } = *self;
        MatVecId { format, layout, activation, reduce, workgroup_size, blocks, rows, table }
    }
}

impl Kernel for MatMulId {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for layout in [WeightLayout::Plain, WeightLayout::Interleaved] {
            all.extend(Format::ALL.iter().map(|&format| Self::new(format, layout, caps)));
        }
        let one = Self::new(Format::HALF, WeightLayout::Plain, caps);
        all.extend(Activation::ALL[1..].iter().map(|&activation| Self { activation, ..one }));
        let reduces = Reduce::all(caps)[1..].iter();
        all.extend(reduces.map(|&reduce| Self::with(Format::INT8_ACTIVATIONS, WeightLayout::Plain, reduce, caps)));
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(self.reduce.define(Defines::new(self.workgroup_size)), "weights_file", self.format);
        let d = with_tables(self.activation.define(self.layout.define(d)), [("weights", self.table)]);
        d.u32("BLOCKS", self.blocks).u32("ROWS", self.rows).u32("VECS", self.vecs)
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "weights" && self.layout.in_texture()
    }
    fn groups(&self, p: &Params) -> u64 {
        let outputs = if p.gated == 0 { self.rows } else { self.rows / 2 };
        u64::from(p.n_rows.div_ceil(self.blocks * outputs)) * u64::from(p.n_experts)
    }
    fn flops(&self, p: &Params) -> u64 {
        self.pair_by_pair().flops(&same(p))
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let mat_vec_id::Bytes { weights, x, y, .. } = self.pair_by_pair().traffic(&same(p));
        Bytes { weights, x, y, ..self.min_binding_size(p) }
    }
    /// Each expert that has pairs is read once.
    fn traffic_given(&self, p: &Params, contents: &[Option<&[u32]>]) -> Bytes {
        let [_, _, _, Some(starts), _] = *contents else { return self.traffic(p) };
        let here = starts[p.expert0 as usize..].windows(2).take(p.n_experts as usize);
        let used = here.filter(|pairs| pairs[0] < pairs[1]).count() as u64;
        Bytes { weights: used * self.pair_by_pair().expert_bytes(&same(p)), ..self.traffic(p) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let mat_vec_id::Bytes { weights, x, y, experts } = self.pair_by_pair().min_binding_size(&same(p));
        Bytes { weights, x, order: experts, starts: bytes4(u64::from(p.all_experts) + 1), y }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let TestInput { params, bindings } = self.pair_by_pair().test_input(rng);
        let p: Params = bytemuck::cast(params);
        let [weights, x, experts, y]: [Vec<u32>; 4] = bindings.try_into().expect("four bindings");
        let (order, starts) = grouped(&experts, p.all_experts);
        TestInput { params: p, bindings: vec![weights, x, order, starts, y] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let Host { weights, x, order, starts, y, _life } = host;
        let mut experts = vec![0; p.n_pairs as usize];
        for expert in 0..p.all_experts {
            let [begin, end] = [0, 1].map(|next| starts[(expert + next) as usize] as usize);
            order[begin..end].iter().for_each(|&pair| experts[pair as usize] = expert);
        }
        let host = mat_vec_id::Host { weights, x, experts: &experts, y, _life };
        self.pair_by_pair().reference(&same(p), host);
    }
}

/// The parameters of the kernel that computes the same pair by pair.
fn same(p: &Params) -> mat_vec_id::Params {
    bytemuck::cast(*p)
}
