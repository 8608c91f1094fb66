//! Which product serves which shapes on one device, where somebody measured it.

use crate::choose::{ProductChoice, SMALL_BATCH, attention_workgroups, layout_for, product_for};
use crate::mat_coop::MatCoop;
use crate::mat_mul::{MatMul, Tile};
use crate::mat_row::MatRow;
use crate::mat_vec::MatVec;
use ridgeline_compute::{Caps, Kernel};
use ridgeline_quant::Format;
use std::collections::BTreeMap;

/// Products that one choice serves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Class {
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
    Few,
    /// More than those.
    Some,
    /// From 8192 on, as a head has: teams never run out of them.
    Many,
}

impl RowCount {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Few, Self::Some, Self::Many];

    /// The word for so many.
    #[must_use]
    pub const fn of(n_rows: u32) -> Self {
        match n_rows {
            0..=4096 => Self::Few,
            4097..=8191 => Self::Some,
            _ => Self::Many,
        }
    }

    /// It in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Few => "few",
            Self::Some => "some",
            Self::Many => "many",
        }
    }
}

impl Class {
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
    pub fn candidates(self, caps: &Caps) -> Vec<ProductChoice> {
        let fits = |kernel: &MatVec| {
            let even = kernel.rows.is_multiple_of(2) || self.rows == RowCount::Few;
            kernel.format == self.format && even && kernel.cols <= 2 * self.vectors
        };
        let vec = MatVec::all(caps).into_iter().filter(fits).map(ProductChoice::Vec);
        let tiled =
            |kernel: &MatMul| kernel.format == self.format && kernel.tile == Tile::F32 && self.vectors > 4;
        let tiled = MatMul::all(caps).into_iter().filter(tiled).map(ProductChoice::Mul);
        let fits = |kernel: &MatRow| kernel.format == self.format && kernel.cols <= 2 * self.vectors;
        let row = MatRow::all(caps).into_iter().filter(fits).map(ProductChoice::Row);
        let coop = |kernel: &MatCoop| kernel.format == self.format && self.vectors > SMALL_BATCH;
        let coop = MatCoop::all(caps).into_iter().filter(coop).map(ProductChoice::Coop);
        let layout = layout_for(caps);
        vec.chain(tiled).chain(coop).chain(row).filter(|choice| choice.layout() == layout).collect()
    }
}

/// Heads of keys and values of a layer: what decides how much work attention is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Heads {
    /// How many there are.
    pub count: u32,
    /// Values of one.
    pub width: u32,
}

/// Choices by class; classes without one are served as on any device of the kind.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tuning {
    choices: BTreeMap<Class, ProductChoice>,
    workgroups: BTreeMap<Heads, u32>,
}

impl Tuning {
    /// Makes a choice for a class.
    pub fn choose(&mut self, class: Class, choice: ProductChoice) {
        self.choices.insert(class, choice);
    }

    /// Splits attention over the cache into so many workgroups.
    pub fn split_attention(&mut self, heads: Heads, workgroups: u32) {
        self.workgroups.insert(heads, workgroups);
    }

    /// Workgroups that attention over the cache is split into.
    #[must_use]
    pub fn attention_workgroups(&self, heads: Heads, caps: &Caps) -> u32 {
        self.workgroups.get(&heads).copied().unwrap_or_else(|| attention_workgroups(caps))
    }

    /// The choices made for products.
    pub fn choices(&self) -> impl Iterator<Item = (Class, ProductChoice)> {
        self.choices.iter().map(|(class, choice)| (*class, *choice))
    }

    /// The product of a matrix of `n_rows` rows with `n_vecs` vectors. Whoever wants none of the cooperative matrices that a
    /// device has leaves them out of `caps`, and what was tuned with them is passed over.
    #[must_use]
    pub fn product_for(&self, format: Format, n_vecs: u32, n_rows: u32, caps: &Caps) -> ProductChoice {
        let tuned = self.choices.get(&Class::of(format, n_vecs, n_rows)).copied();
        let allowed = |choice: &ProductChoice| match choice {
            ProductChoice::Coop(kernel) => caps.cooperative.contains(&kernel.edge),
            _ => true,
        };
        tuned.filter(allowed).unwrap_or_else(|| product_for(format, n_vecs, caps))
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Tuning};
    use crate::choose::ProductChoice;
    use ridgeline_compute::Caps;
    use ridgeline_quant::Format;

    #[test]
    fn cooperative_matrices_serve_many_vectors_where_there_are_some() {
        let with = Caps { subgroup: Some((32, 32)), ..Caps::everything() };
        let without = Caps { cooperative: &[], ..with.clone() };
        let mut tuning = Tuning::default();
        for tuned in [false, true] {
            let many = tuning.product_for(Format::HALF, 64, 100, &with);
            assert!(matches!(many, ProductChoice::Coop(kernel) if kernel.edge == 16), "{many:?}");
            assert!(matches!(tuning.product_for(Format::HALF, 16, 100, &with), ProductChoice::Vec(_)));
            // Also where somebody found them the fastest.
            let tiles = tuning.product_for(Format::HALF, 64, 100, &without);
            assert!(matches!(tiles, ProductChoice::Mul(_)), "{tuned}: {tiles:?}");
            tuning.choose(Class::of(Format::HALF, 64, 100), many);
        }
        let software = Caps { software: true, max_texture: 0, ..with };
        assert!(matches!(tuning.product_for(Format::SINGLE, 64, 100, &software), ProductChoice::Vec(_)));
    }
}
