//! Mat-vec (GEMV), y = W·x, for small batches.

use crate::activation::Activation;
use crate::common::{Reduce, tables, with_format, with_tables};
use crate::layout::WeightLayout;
use crate::linear::{Epilogue, LinearShape, MAX_TEST_ROWS, linear_members};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// y\[v, row0 + r\] = Σ_c W\[r, c\] · x\[v, c\], then the `epilogue` ([`Epilogue`]). A GLU needs an even `rows`, and
    /// `activation` is its function.
    /// A reduction group computes a block of `rows` rows of W by `vecs` vectors, and a workgroup computes `blocks` of them.
    /// `stride` counts vec4s per row of W, `ld` floats per row of y. With `table`, levels of quants are looked up in
    /// workgroup memory.
    pub struct MatVec("mat_vec") {
        format: Format, activation: Activation, reduce: Reduce, workgroup_size: u32, blocks: u32, rows: u32, vecs: u32,
        table: bool,
    }
    params { n_rows: u32, n_cols: u32, n_vecs: u32, stride: u32, ld: u32, row0: u32, epilogue: u32 }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<f32>>, y: update array<f32> }
}

impl MatVec {
    /// The variant for blocks of `rows` by `vecs` on this device.
    #[must_use]
    pub fn new(format: Format, caps: &Caps, rows: u32, vecs: u32) -> Self {
        let workgroup_size = 64;
        let reduce = Reduce::all(caps)[0];
        let blocks = reduce.groups_per_workgroup(caps, workgroup_size);
        let table = tables(format, caps)[0];
        Self { format, activation: Activation::Silu, reduce, workgroup_size, blocks, rows, vecs, table }
    }
}

/// Rows and vectors of a block, where reduction groups are subgroups. A GLU needs even rows.
const SHAPES: [(u32, u32); 17] = [
    (1, 1),
    (2, 1),
    (4, 1),
    (8, 1),
    (2, 2),
    (4, 2),
    (8, 2),
    (4, 3),
    (2, 4),
    (4, 4),
    (8, 4),
    (2, 5),
    (2, 6),
    (2, 8),
    (4, 8),
    (8, 8),
    (2, 16),
];
/// The same where the reduction group is the workgroup.
const WORKGROUP_SHAPES: [(u32, u32); 9] =
    [(2, 1), (4, 1), (4, 2), (4, 3), (4, 4), (2, 5), (2, 6), (2, 8), (2, 16)];
/// The same for split-K, where the subgroups of a workgroup split the columns.
const SPLIT_SHAPES: [(u32, u32); 2] = [(2, 1), (2, 4)];
/// Most accumulators of an invocation on a GPU. More, beside the weights or vectors in registers, would spill. The limit
/// does not apply to software adapters, whose default has 8 rows by up to 8 vectors.
const MOST_SUMS: u32 = 32;

/// Blocks of a decode step, whose number of subgroups is smallest. Other numbers of blocks per workgroup are tried for them.
const BLOCKS_MATTER: [(u32, u32); 2] = [(2, 1), (4, 1)];

/// Blocks per workgroup to try: one for each reduction group, for every subgroup size that the driver may pick. Drivers
/// with several sizes rarely pick the smallest: RADV picks 64 of 32 and 64. A subgroup then loops over several blocks.
fn block_counts(reduce: Reduce, caps: &Caps, workgroup_size: u32) -> Vec<u32> {
    let most = reduce.groups_per_workgroup(caps, workgroup_size);
    let sizes = caps.subgroup.filter(|_| reduce == Reduce::Subgroup);
    let least = sizes.map_or(most, |(_, largest)| (workgroup_size / largest).clamp(1, most));
    std::iter::successors(Some(most), |blocks| Some(blocks / 2)).take_while(|blocks| *blocks >= least).collect()
}

impl Kernel for MatVec {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for reduce in Reduce::all(caps).iter().copied().chain(caps.subgroup.map(|_| Reduce::SplitK)) {
            let (workgroup_size, shapes) = match reduce {
                Reduce::Subgroup => (64, &SHAPES[..]),
                Reduce::Workgroup => (64, &WORKGROUP_SHAPES[..]),
                Reduce::SplitK => (256, &SPLIT_SHAPES[..]),
            };
            let counts = block_counts(reduce, caps, workgroup_size);
            let shapes = shapes.iter().filter(|(rows, vecs)| caps.software || rows * vecs <= MOST_SUMS);
            for (&format, &(rows, vecs)) in Format::ALL.iter().flat_map(|it| shapes.clone().map(move |shape| (it, shape))) {
                let tables = tables(format, caps);
                let activation = Activation::Silu;
                let one =
                    Self { format, activation, reduce, workgroup_size, blocks: counts[0], rows, vecs, table: tables[0] };
                all.extend(tables.iter().map(|&table| Self { table, ..one }));
                if BLOCKS_MATTER.contains(&(rows, vecs)) {
                    all.extend(counts[1..].iter().map(|&blocks| Self { blocks, ..one }));
                }
            }
        }
        // The epilogue depends neither on the type of the weights nor on the shape. So the other activations have one of each.
        let is_one = |it: &Self| {
            let most = it.reduce.groups_per_workgroup(caps, it.workgroup_size);
            it.format == Format::HALF && (it.rows, it.vecs, it.blocks) == (2, 1, most)
        };
        let ones: Vec<Self> = all.iter().copied().filter(is_one).collect();
        for &activation in &Activation::ALL[1..] {
            all.extend(ones.iter().map(|it| Self { activation, ..*it }));
        }
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(self.reduce.define(Defines::new(self.workgroup_size)), "weights_file", self.format);
        // Split-K reduces all sums of a block with one barrier.
        let sums = if self.reduce == Reduce::SplitK { self.rows * self.vecs } else { 0 };
        let d = self.activation.define(d.u32("SUMS", sums));
        let d = with_tables(d, [("weights", self.table)]);
        d.u32("BLOCKS", self.blocks).u32("ROWS", self.rows).u32("VECS", self.vecs)
    }
    fn groups(&self, p: &Params) -> u64 {
        let outputs = if p.epilogue == Epilogue::Glu as u32 { self.rows / 2 } else { self.rows };
        u64::from(p.n_rows.div_ceil(self.blocks * outputs)) * u64::from(p.n_vecs.div_ceil(self.vecs))
    }
    linear_members! {
        layout: WeightLayout::Plain,
        activation: |it| it.activation,
        test_size: |it| [MAX_TEST_ROWS, 2 * it.vecs + 1],
        epilogues: Epilogue::supported(it.rows.is_multiple_of(2)),
    }
}
