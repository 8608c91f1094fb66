//! Tiled matmul (GEMM), y = x·Wᵀ, for large batches.

use crate::activation::Activation;
use crate::common::{table_bytes, tables, with_format, with_tables, without_sums};
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
    /// y\[v, row0 + r\] = Σ_c W\[r, c\] · x\[v, c\] in tiles of y, `depth` columns at a time. An invocation computes `vecs` ×
    /// `rows` values, and the tile of a workgroup is eight times that in both directions. With `table`, levels of quants are
    /// looked up in workgroup memory.
    ///
    /// The `epilogue` ([`Epilogue`]) stores or adds. `stride` counts vec4s per row of W, `ld` floats per row of y.
    pub struct MatMul("mat_mul") { format: Format, tile: Tile, depth: u32, vecs: u32, rows: u32, table: bool }
    params { n_rows: u32, n_cols: u32, n_vecs: u32, stride: u32, ld: u32, row0: u32, epilogue: u32 }
    bindings { weights: read array<vec4<u32>>, x: read array<vec4<f32>>, y: update array<f32> }
}

/// Invocations per workgroup, 8 × 8. The index arithmetic of the WGSL relies on it.
const WORKGROUP_SIZE: u32 = 64;

/// Vectors and rows of an invocation, the default first. With 8 × 8, a product reads half as many bytes of workgroup memory
/// as with 4 × 4. There are a quarter of the workgroups.
const BLOCKS: [(u32, u32); 3] = [(4, 4), (8, 4), (8, 8)];

impl MatMul {
    /// The default variant.
    #[must_use]
    pub fn new(format: Format, caps: &Caps) -> Self {
        let (vecs, rows) = BLOCKS[0];
        Self { format, tile: Tile::F32, depth: 32, vecs, rows, table: tables(format, caps)[0] }
    }

    /// Vectors and rows of the output tile.
    #[must_use]
    pub const fn tile_size(self) -> [u32; 2] {
        [8 * self.vecs, 8 * self.rows]
    }

    /// Bytes of the tiles of x and W, and of the table. Each row of the W tile has one vec4 of padding against bank conflicts.
    const fn workgroup_bytes(self) -> u32 {
        let [vecs, rows] = self.tile_size();
        let values = vecs * self.depth + rows * (self.depth + 4);
        values * if matches!(self.tile, Tile::F32) { 4 } else { 2 } + table_bytes(self.table)
    }
}

impl Kernel for MatMul {
    fn all(caps: &Caps) -> Vec<Self> {
        let tiles: &[Tile] = if caps.f16 { &[Tile::F32, Tile::F16] } else { &[Tile::F32] };
        let mut all = Vec::new();
        for &format in Format::ALL {
            let one = Self::new(format, caps);
            all.extend(tiles.iter().flat_map(|&tile| [32, 64].map(|depth| Self { tile, depth, ..one })));
            all.extend(BLOCKS[1..].iter().map(|&(vecs, rows)| Self { vecs, rows, ..one }));
            all.extend(tables(format, caps)[1..].iter().map(|&table| Self { table, ..one }));
        }
        all.retain(|k| k.workgroup_bytes() <= caps.max_workgroup_memory);
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(without_sums(WORKGROUP_SIZE), "weights_file", self.format).u32("DEPTH", self.depth);
        let d = with_tables(d.u32("VECS", self.vecs).u32("ROWS", self.rows), [("weights", self.table)]);
        match self.tile {
            Tile::F32 => d.alias("Tile", "f32").value("F32_TILES", true),
            Tile::F16 => d.enable("f16").alias("Tile", "f16").value("F32_TILES", false),
        }
    }
    fn groups(&self, p: &Params) -> u64 {
        let [vecs, rows] = self.tile_size();
        u64::from(p.n_rows.div_ceil(rows)) * u64::from(p.n_vecs.div_ceil(vecs))
    }
    linear_members! {
        layout: WeightLayout::Plain,
        activation: |_it| Activation::default(),
        test_size: |_it| [MAX_TEST_ROWS, 70],
        epilogues: Epilogue::supported(false),
    }
}
