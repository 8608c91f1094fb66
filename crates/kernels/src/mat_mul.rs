//! Tiled matmul (GEMM), y = x·Wᵀ, for large batches.

use crate::activation::Activation;
use crate::common::{without_sums, with_format};
use crate::layout::WeightLayout;
use crate::linear::{Epilogue, LinearShape, MAX_TEST_ROWS, linear_members};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

/// The type of the tiles in workgroup memory. With f16 tiles, each product of two vec4s is summed in f16. These partial
/// sums are added in f32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tile {
    /// 32-bit floats.
    F32,
    /// 16-bit floats, where the device supports them.
    F16,
}

kernel! {
    /// y\[v, row0 + r\] = Σ_c W\[r, c\] · x\[v, c\] in 32 × 32 tiles of y, `depth` columns at a time.
    /// The `epilogue` ([`Epilogue`]) stores or adds. `stride` counts vec4s per row of W, `ld` floats per row of y.
    pub struct MatMul("mat_mul") { format: Format, tile: Tile, depth: u32 }
    params { n_rows: u32, n_cols: u32, n_vecs: u32, stride: u32, ld: u32, row0: u32, epilogue: u32 }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<f32>>, y: update array<f32> }
}

/// Edge of the output tile, and invocations per workgroup. The index arithmetic of the WGSL relies on both.
const TILE: u32 = 32;
const WORKGROUP_SIZE: u32 = 64;

impl MatMul {
    /// Bytes of the tiles of x and W. Each row of the W tile has one vec4 of padding against bank conflicts.
    const fn workgroup_bytes(self) -> u32 {
        TILE * (2 * self.depth + 4) * if matches!(self.tile, Tile::F32) { 4 } else { 2 }
    }
}

impl Kernel for MatMul {
    fn all(caps: &Caps) -> Vec<Self> {
        let tiles: &[Tile] = if caps.f16 { &[Tile::F32, Tile::F16] } else { &[Tile::F32] };
        let variants = tiles.iter().flat_map(|&tile| [32, 64].map(|depth| (tile, depth)));
        let with = |(tile, depth)| Format::ALL.iter().map(move |&format| Self { format, tile, depth });
        variants.flat_map(with).filter(|k| k.workgroup_bytes() <= caps.max_workgroup_memory).collect()
    }
    fn defines(&self) -> Defines {
        let d = with_format(without_sums(WORKGROUP_SIZE), "weights_file", self.format).u32("DEPTH", self.depth);
        match self.tile {
            Tile::F32 => d.alias("Tile", "f32").value("F32_TILES", true),
            Tile::F16 => d.enable("f16").alias("Tile", "f16").value("F32_TILES", false),
        }
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_rows.div_ceil(TILE)) * u64::from(p.n_vecs.div_ceil(TILE))
    }
    linear_members! {
        layout: WeightLayout::Plain,
        activation: |_it| Activation::default(),
        test_size: |_it| [MAX_TEST_ROWS, 70],
        epilogues: Epilogue::supported(false),
    }
}
