//! Matmul (GEMM), y = x·Wᵀ, for large batches with cooperative matrices (tensor cores).

use crate::activation::Activation;
use crate::common::{table_bytes, tables, with_format, with_tables, without_sums};
use crate::layout::WeightLayout;
use crate::linear::{Epilogue, LinearShape, linear_members};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// y\[v, row0 + r\] = Σ_c W\[r, c\] · x\[v, c\] in tiles of `tile` × `tile` outputs. A subgroup multiplies
    /// cooperative matrices of `edge` × `edge`. The `epilogue` ([`Epilogue`]) stores or adds. `stride` counts vec4s per
    /// row of W, `ld` floats per row of y. `workgroup_size` is four subgroups of the device's largest size.
    ///
    /// With `table`, levels of quants are looked up in workgroup memory. W and x are rounded to f16. Larger values of x are clamped to ±65504. Sums are f32.
    pub struct MatMulCoop("mat_mul_coop") {
        format: Format, edge: u32, tile: u32, workgroup_size: u32, table: bool,
    }
    params { n_rows: u32, n_cols: u32, n_vecs: u32, stride: u32, ld: u32, row0: u32, epilogue: u32 }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<f32>>, y: update array<f32> }
}

/// Output tile sizes for a cooperative matrix size `edge`. Large tiles read fewer bytes per FLOP, and small tiles give
/// more workgroups. A subgroup has (tile / 2 / edge)² accumulator matrices. With 8 × 8 matrices a tile of 128 would need
/// 64 of them, so it is left out.
const fn tiles(edge: u32) -> &'static [u32] {
    if edge < 16 { &[32, 64] } else { &[32, 64, 128] }
}

/// Columns of x and W in workgroup memory at a time.
const DEPTH: u32 = 32;

/// Subgroups that share an output tile.
const SUBGROUPS: u32 = 4;

impl MatMulCoop {
    /// Bytes of the two f16 tiles, whose rows are padded by eight values, of the f32 sums before they are stored, and of the
    /// table.
    const fn workgroup_bytes(self) -> u32 {
        2 * 2 * self.tile * (DEPTH + 8) + 4 * SUBGROUPS * 256 + table_bytes(self.table)
    }

    /// The default variant for a batch of `n_vecs`, or `None` without cooperative matrices. It uses the
    /// largest matrices of the device, and a tile of 32, or of 64 beyond a batch of 32.
    #[must_use]
    pub fn for_batch(format: Format, caps: &Caps, n_vecs: u32) -> Option<Self> {
        let tile = if n_vecs > 32 { 64 } else { 32 };
        Self::all_of(format, caps).find(|it| it.tile == tile)
    }

    fn all_of(format: Format, caps: &Caps) -> impl Iterator<Item = Self> {
        let workgroup_size = caps.subgroup.map_or(0, |(_, largest)| SUBGROUPS * largest);
        let fits = workgroup_size > 0 && workgroup_size <= caps.max_invocations;
        let edges = if caps.f16 && fits { caps.cooperative } else { &[] };
        let table = tables(format, caps)[0];
        let with = move |&edge| tiles(edge).iter().map(move |&tile| Self { format, edge, tile, workgroup_size, table });
        edges.iter().flat_map(with).filter(|it| it.workgroup_bytes() <= caps.max_workgroup_memory)
    }
}

impl Kernel for MatMulCoop {
    fn all(caps: &Caps) -> Vec<Self> {
        Format::ALL.iter().flat_map(|&format| Self::all_of(format, caps)).collect()
    }
    fn defines(&self) -> Defines {
        let d = with_format(without_sums(self.workgroup_size), "weights_file", self.format);
        with_tables(d, [("weights", self.table)])
            .enable("f16")
            .enable("wgpu_cooperative_matrix")
            .u32("DEPTH", DEPTH)
            .u32("TILE", self.tile)
            .u32("EDGE", self.edge)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_rows.div_ceil(self.tile)) * u64::from(p.n_vecs.div_ceil(self.tile))
    }
    linear_members! {
        layout: WeightLayout::Plain,
        activation: |_it| Activation::default(),
        test_size: |it| [2 * it.tile + 12; 2],
        epilogues: Epilogue::supported(false),
    }
}
