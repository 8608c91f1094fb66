//! Measured kernel choices for one device. Shapes without a measurement use the defaults of [`linear_for`].

use crate::activation::Activation;
use crate::choose::{LinearKernel, SMALL_BATCH, attention_workgroups, layout_for, linear_for};
use crate::mat_mul::{MatMul, Tile};
use crate::mat_mul_coop::MatMulCoop;
use crate::mat_vec::MatVec;
use crate::mat_vec_rows::MatVecRows;
use ridgeline_compute::{Caps, Kernel};
use ridgeline_quant::Format;
use std::collections::BTreeMap;

/// A class of linear layers that share one kernel choice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinearClass {
    /// Quantization type of the weights.
    pub format: Format,
    /// Batch size: 1 to 8 exactly, 16 for 9 to 16, 32 for 17 to 32, 64 for more.
    pub vectors: u32,
    /// Number of rows, by size class.
    pub rows: RowCount,
}

/// Number of rows of a matrix, by size class. It decides which kernel keeps a large device busy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RowCount {
    /// Up to 4096 rows, such as o and down projections. A device may have more subgroups than rows.
    Small,
    /// From 4097 to 8191 rows.
    Medium,
    /// 8192 rows or more, such as `lm_head`. There are always enough rows for all reduction groups.
    Large,
}

impl RowCount {
    /// All size classes.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The size class of a number of rows.
    #[must_use]
    pub const fn of(n_rows: u32) -> Self {
        match n_rows {
            0..=4096 => Self::Small,
            4097..=8191 => Self::Medium,
            _ => Self::Large,
        }
    }

    /// The name in lower case, as in the tuning file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

impl LinearClass {
    /// The class of a linear layer.
    #[must_use]
    pub const fn of(format: Format, n_vecs: u32, n_rows: u32) -> Self {
        let vectors = match n_vecs {
            0 | 1 => 1,
            2..=8 => n_vecs,
            9..=16 => 16,
            17..=32 => 32,
            _ => 64,
        };
        Self { format, vectors, rows: RowCount::of(n_rows) }
    }

    /// The kernels that the tuner measures for this class. Results differ only in the order of sums and, with cooperative
    /// matrices, by the rounding of operands to f16.
    ///
    /// Candidates are limited to the weight layout of this device ([`layout_for`]). Mat-vecs process at most twice the batch
    /// size at once. Tiled matmuls start at a batch of 5. Cooperative matrices, and tiles of more than 32 vectors, start beyond
    /// [`SMALL_BATCH`]. Blocks with an odd number of rows are tried only for [`RowCount::Small`]. The activation of a GLU epilogue changes no time, so the
    /// candidates have that of SwiGLU.
    #[must_use]
    pub fn candidates(self, caps: &Caps) -> Vec<LinearKernel> {
        let fits = |kernel: &MatVec| {
            let even = kernel.rows.is_multiple_of(2) || self.rows == RowCount::Small;
            let silu = kernel.activation == Activation::Silu;
            kernel.format == self.format && silu && even && kernel.vecs <= 2 * self.vectors
        };
        let vec = MatVec::all(caps).into_iter().filter(fits).map(LinearKernel::Vec);
        let tiled = |kernel: &MatMul| {
            let fills = self.vectors > if kernel.tile_size()[0] > 32 { SMALL_BATCH } else { 4 };
            kernel.format == self.format && kernel.tile == Tile::F32 && fills
        };
        let tiled = MatMul::all(caps).into_iter().filter(tiled).map(LinearKernel::Mul);
        let fits = |kernel: &MatVecRows| {
            let silu = kernel.activation == Activation::Silu;
            kernel.format == self.format && silu && kernel.vecs <= 2 * self.vectors
        };
        let row = MatVecRows::all(caps).into_iter().filter(fits).map(LinearKernel::Rows);
        let coop = |kernel: &MatMulCoop| kernel.format == self.format && self.vectors > SMALL_BATCH;
        let coop = MatMulCoop::all(caps).into_iter().filter(coop).map(LinearKernel::Coop);
        let layout = layout_for(caps);
        vec.chain(tiled).chain(coop).chain(row).filter(|choice| choice.layout() == layout).collect()
    }
}

/// The KV heads of a layer, which decide how much work attention has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KvHeads {
    /// Number of KV heads.
    pub count: u32,
    /// Values of one head.
    pub width: u32,
}

/// Measured choices by class. Classes without one use the defaults.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tuning {
    choices: BTreeMap<LinearClass, LinearKernel>,
    workgroups: BTreeMap<KvHeads, u32>,
}

impl Tuning {
    /// Sets the choice for a class.
    pub fn choose(&mut self, class: LinearClass, choice: LinearKernel) {
        self.choices.insert(class, choice);
    }

    /// Sets the number of workgroups that attention is split into.
    pub fn split_attention(&mut self, heads: KvHeads, workgroups: u32) {
        self.workgroups.insert(heads, workgroups);
    }

    /// Number of workgroups that attention is split into.
    #[must_use]
    pub fn attention_workgroups(&self, heads: KvHeads, caps: &Caps) -> u32 {
        self.workgroups.get(&heads).copied().unwrap_or_else(|| attention_workgroups(caps))
    }

    /// All choices for linear layers.
    pub fn choices(&self) -> impl Iterator<Item = (LinearClass, LinearKernel)> {
        self.choices.iter().map(|(class, choice)| (*class, *choice))
    }

    /// The kernel for a linear layer of `n_rows` rows and a batch of `n_vecs`. A measured choice of cooperative matrices
    /// that `caps` does not list is ignored, so a caller can disable them by leaving them out of `caps`.
    #[must_use]
    pub fn linear_for(&self, format: Format, n_vecs: u32, n_rows: u32, caps: &Caps) -> LinearKernel {
        let tuned = self.choices.get(&LinearClass::of(format, n_vecs, n_rows)).copied();
        let allowed = |choice: &LinearKernel| match choice {
            LinearKernel::Coop(kernel) => caps.cooperative.contains(&kernel.edge),
            _ => true,
        };
        tuned.filter(allowed).unwrap_or_else(|| linear_for(format, n_vecs, caps))
    }
}

#[cfg(test)]
mod tests {
    use super::{LinearClass, Tuning};
    use crate::choose::LinearKernel;
    use ridgeline_compute::Caps;
    use ridgeline_quant::Format;

    #[test]
    fn cooperative_matrices_serve_large_batches_where_available() {
        let with = Caps { subgroup: Some((32, 32)), ..Caps::everything() };
        let without = Caps { cooperative: &[], ..with.clone() };
        let mut tuning = Tuning::default();
        for tuned in [false, true] {
            let many = tuning.linear_for(Format::HALF, 64, 100, &with);
            assert!(matches!(many, LinearKernel::Coop(kernel) if kernel.edge == 16), "{many:?}");
            assert!(matches!(tuning.linear_for(Format::HALF, 16, 100, &with), LinearKernel::Vec(_)));
            // Also where the tuner chose cooperative matrices.
            let tiles = tuning.linear_for(Format::HALF, 64, 100, &without);
            assert!(matches!(tiles, LinearKernel::Mul(_)), "{tuned}: {tiles:?}");
            tuning.choose(LinearClass::of(Format::HALF, 64, 100), many);
        }
        let software = Caps { software: true, max_texture: 0, ..with };
        assert!(matches!(tuning.linear_for(Format::SINGLE, 64, 100, &software), LinearKernel::Vec(_)));
    }
}
