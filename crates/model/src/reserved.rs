//! What the layers of a model need of a session. They reserve it while they are loaded.

use crate::layers::Heads;
use crate::rope::RopeConfig;
use crate::scratch::Temp;
use std::collections::HashMap;

/// Rotations, attention shapes and widths of temporaries.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    /// The distinct rotations, in order of first use.
    pub(crate) ropes: Vec<RopeConfig>,
    /// The distinct attention shapes, in order of first use.
    pub(crate) heads: Vec<Heads>,
    widths: HashMap<Temp, u32>,
}

impl Reserved {
    /// Index of a rotation, which is added if it is new.
    pub(crate) fn rope(&mut self, rope: RopeConfig) -> usize {
        index_of(&mut self.ropes, rope)
    }

    /// Adds an attention shape if it is new.
    pub(crate) fn heads(&mut self, heads: Heads) {
        index_of(&mut self.heads, heads);
    }

    /// Makes a temporary at least `width` values wide.
    pub(crate) fn widen(&mut self, temp: Temp, width: u32) {
        let widest = self.widths.entry(temp).or_default();
        *widest = width.max(*widest);
    }

    /// Values per row of a temporary, 0 if no layer writes it.
    pub(crate) fn width(&self, temp: Temp) -> usize {
        self.widths.get(&temp).map_or(0, |&width| width as usize)
    }
}

/// Index of `item`, which is appended if it is new.
fn index_of<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|it| *it == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}
