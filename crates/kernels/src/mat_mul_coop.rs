//! y = x·Wᵀ for many vectors, by cooperative matrices.

use crate::common::{elementwise, with_format};
use crate::layout::WeightLayout;
use crate::linear::{Epilogue, LinearShape, linear_members};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// y\[v, row0 + r\] = Σ_c W\[r, c\] · x\[v, c\] in tiles of `tile` rows and vectors, by matrices of `edge` rows and columns
    /// that a subgroup multiplies as one; `epilogue` ([`Epilogue`]) stores or adds. `stride` counts vec4 words per row of
    /// W, `ld` floats per row of y. A workgroup has `lanes` invocations: four subgroups of the largest size the device names.
    ///
    /// W and x are rounded to 16 bits, x beyond their range to the largest number there is; sums are of 32 bits.
    pub struct MatMulCoop("mat_mul_coop") { format: Format, edge: u32, tile: u32, lanes: u32 }
    params { n_rows: u32, n_cols: u32, n_vecs: u32, stride: u32, ld: u32, row0: u32, epilogue: u32 }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<f32>>, y: update array<f32> }
}

/// Edges of output tiles by that of the matrices: a large one reads less for each linear, and of small ones more run at a
/// time. Of small matrices a large tile would be more than registers hold.
const fn tiles(edge: u32) -> &'static [u32] {
    if edge < 16 { &[32, 64] } else { &[32, 64, 128] }
}

/// Columns that are multiplied at a time.
const DEPTH: u32 = 32;

/// Subgroups that share a tile.
const SUBGROUPS: u32 = 4;

impl MatMulCoop {
    /// Bytes of the two tiles, whose lines are eight values longer than what they hold, and of sums on their way out.
    const fn workgroup_bytes(self) -> u32 {
        2 * 2 * self.tile * (DEPTH + 8) + 4 * SUBGROUPS * 256
    }

    /// The variant for so many vectors on this device: the largest matrices it has, in tiles that the vectors fill, of 64 at
    /// most.
    #[must_use]
    pub fn for_batch(format: Format, caps: &Caps, n_vecs: u32) -> Option<Self> {
        let tile = if n_vecs > 32 { 64 } else { 32 };
        Self::all_of(format, caps).find(|it| it.tile == tile)
    }

    fn all_of(format: Format, caps: &Caps) -> impl Iterator<Item = Self> {
        let lanes = caps.subgroup.map_or(0, |(_, largest)| SUBGROUPS * largest);
        let fits = lanes > 0 && lanes <= caps.max_invocations;
        let edges = if caps.f16 && fits { caps.cooperative } else { &[] };
        let with = move |&edge| tiles(edge).iter().map(move |&tile| Self { format, edge, tile, lanes });
        edges.iter().flat_map(with).filter(|it| it.workgroup_bytes() <= caps.max_workgroup_memory)
    }
}

impl Kernel for MatMulCoop {
    fn all(caps: &Caps) -> Vec<Self> {
        Format::ALL.iter().flat_map(|&format| Self::all_of(format, caps)).collect()
    }
    fn defines(&self) -> Defines {
        with_format(elementwise(self.lanes), "weights_file", self.format)
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
        test_size: |it| [2 * it.tile + 12; 2],
        epilogues: Epilogue::supported(false),
    }
}
