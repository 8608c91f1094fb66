//! Which product serves which shapes on one device, where somebody measured it.

use crate::choose::{LinearKernel, SMALL_BATCH, attention_workgroups, layout_for, linear_for};
use crate::mat_mul::{MatMul, Tile};
use crate::mat_mul_coop::MatMulCoop;
use crate::mat_vec::MatVec;
use crate::mat_vec_rows::MatVecRows;
use ridgeline_compute::{Caps, Kernel};
use ridgeline_quant::Format;
use std::collections::BTreeMap;

/// Products that one choice serves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinearClass {
    /// Number format of the matrix.
    pub format: Format,
    /// Vectors: 1 to 8, 16 for up to 16, 32 for up to 32, 64 for more.
    pub vectors: u32,
    /// How many rows the matrix has.
    pub rows: RowCount,
}

/// How many rows a matrix has: what keeps a large device busy differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RowCount {
    /// Up to 4096, as the ways back to the residual stream have: a device may have more subgroups than rows.
    Small,
    /// More than those.
    Medium,
    /// From 8192 on, as a head has: reduction groups never run out of them.
    Large,
}

impl RowCount {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The word for so many.
    #[must_use]
    pub const fn of(n_rows: u32) -> Self {
        match n_rows {
            0..=4096 => Self::Small,
            4097..=8191 => Self::Medium,
            _ => Self::Large,
        }
    }

    /// It in lower case.
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
    /// The class of a product.
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

    /// What may serve it, with the same results up to the order of sums and, with cooperative matrices, operands of 16
    /// bits: variants that make at most twice as many vectors at a time as there are, of weights as they lie. Tiles are worth a
    /// try from five vectors on, cooperative matrices beyond small batches, an odd number of rows where there are few.
    #[must_use]
    pub fn candidates(self, caps: &Caps) -> Vec<LinearKernel> {
        let fits = |kernel: &MatVec| {
            let even = kernel.rows.is_multiple_of(2) || self.rows == RowCount::Small;
            kernel.format == self.format && even && kernel.cols <= 2 * self.vectors
        };
        let vec = MatVec::all(caps).into_iter().filter(fits).map(LinearKernel::Vec);
        let tiled =
            |kernel: &MatMul| kernel.format == self.format && kernel.tile == Tile::F32 && self.vectors > 4;
        let tiled = MatMul::all(caps).into_iter().filter(tiled).map(LinearKernel::Mul);
        let fits = |kernel: &MatVecRows| kernel.format == self.format && kernel.cols <= 2 * self.vectors;
        let row = MatVecRows::all(caps).into_iter().filter(fits).map(LinearKernel::Rows);
        let coop = |kernel: &MatMulCoop| kernel.format == self.format && self.vectors > SMALL_BATCH;
        let coop = MatMulCoop::all(caps).into_iter().filter(coop).map(LinearKernel::Coop);
        let layout = layout_for(caps);
        vec.chain(tiled).chain(coop).chain(row).filter(|choice| choice.layout() == layout).collect()
    }
}

/// KvHeads of keys and values of a layer: what decides how much work attention is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KvHeads {
    /// How many there are.
    pub count: u32,
    /// Values of one.
    pub width: u32,
}

/// Choices by class; classes without one are served as on any device of the kind.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tuning {
    choices: BTreeMap<LinearClass, LinearKernel>,
    workgroups: BTreeMap<KvHeads, u32>,
}

impl Tuning {
    /// Makes a choice for a class.
    pub fn choose(&mut self, class: LinearClass, choice: LinearKernel) {
        self.choices.insert(class, choice);
    }

    /// Splits attention over the cache into so many workgroups.
    pub fn split_attention(&mut self, heads: KvHeads, workgroups: u32) {
        self.workgroups.insert(heads, workgroups);
    }

    /// Workgroups that attention over the cache is split into.
    #[must_use]
    pub fn attention_workgroups(&self, heads: KvHeads, caps: &Caps) -> u32 {
        self.workgroups.get(&heads).copied().unwrap_or_else(|| attention_workgroups(caps))
    }

    /// The choices made for products.
    pub fn choices(&self) -> impl Iterator<Item = (LinearClass, LinearKernel)> {
        self.choices.iter().map(|(class, choice)| (*class, *choice))
    }

    /// The product of a matrix of `n_rows` rows with `n_vecs` vectors. Whoever wants none of the cooperative matrices that a
    /// device has leaves them out of `caps`, and what was tuned with them is passed over.
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
    fn cooperative_matrices_serve_many_vectors_where_there_are_some() {
        let with = Caps { subgroup: Some((32, 32)), ..Caps::everything() };
        let without = Caps { cooperative: &[], ..with.clone() };
        let mut tuning = Tuning::default();
        for tuned in [false, true] {
            let many = tuning.linear_for(Format::HALF, 64, 100, &with);
            assert!(matches!(many, LinearKernel::Coop(kernel) if kernel.edge == 16), "{many:?}");
            assert!(matches!(tuning.linear_for(Format::HALF, 16, 100, &with), LinearKernel::Vec(_)));
            // Also where somebody found them the fastest.
            let tiles = tuning.linear_for(Format::HALF, 64, 100, &without);
            assert!(matches!(tiles, LinearKernel::Mul(_)), "{tuned}: {tiles:?}");
            tuning.choose(LinearClass::of(Format::HALF, 64, 100), many);
        }
        let software = Caps { software: true, max_texture: 0, ..with };
        assert!(matches!(tuning.linear_for(Format::SINGLE, 64, 100, &software), LinearKernel::Vec(_)));
    }
}
