//! The rows of a family's tables: tensors with their dimensions, and metadata keys.

use super::{Family, Transform};
use crate::{Error, Metadata, Value};

/// One tensor: its two names, and its shape in GGUF. In a name, `*` stands for the layer and `#` for the expert.
pub(crate) struct TensorRule {
    pub(crate) gguf: &'static str,
    /// Its name in a folder; empty if folders have it in another form only.
    pub(crate) hf: &'static str,
    /// Outermost dimension first.
    pub(crate) shape: &'static [Dim],
    pub(crate) presence: Presence,
    /// The layers that have it.
    pub(crate) layers: fn(usize, Keys<'_>) -> bool,
    /// The number of heads whose rows are permuted, if the containers pair differently.
    pub(crate) rotary: Option<Dim>,
    /// What makes the folder's tensor GGUF's.
    pub(crate) transform: Transform,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Always,
    /// Unless the output head is tied to the token embedding.
    Untied,
    /// Some models of the family have it; random ones do not.
    Sometimes,
}

/// A dimension of a tensor, as a formula over metadata keys without the architecture's prefix.
#[derive(Clone, Copy)]
pub(crate) enum Dim {
    /// The value of a key.
    Key(&'static str),
    Number(usize),
    Product(&'static [Self]),
    Sum(&'static [Self]),
    /// The first without the second.
    Difference(&'static [Self; 2]),
    /// The first divided by the second.
    Quotient(&'static [Self; 2]),
}

impl Dim {
    /// The size in a model.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::KeyType`]; [`Error::ShapeDimensions`] for a size that is no number of 64 bits.
    pub(crate) fn of(&self, keys: Keys<'_>) -> Result<usize, Error> {
        let fold = |dims: &[Self], first: usize, combine: fn(usize, usize) -> Option<usize>| {
            dims.iter().try_fold(first, |n, it| combine(n, it.of(keys)?).ok_or_else(|| keys.no_size()))
        };
        match *self {
            Self::Key(suffix) => keys.size(suffix),
            Self::Number(it) => Ok(it),
            Self::Product(all) => fold(all, 1, usize::checked_mul),
            Self::Sum(all) => fold(all, 0, usize::checked_add),
            Self::Difference([from, less]) => {
                from.of(keys)?.checked_sub(less.of(keys)?).ok_or_else(|| keys.no_size())
            }
            Self::Quotient([all, by]) => {
                all.of(keys)?.checked_div(by.of(keys)?).ok_or_else(|| keys.no_size())
            }
        }
    }
}

/// A model's metadata under the suffixes of its family.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) family: &'static Family,
    pub(crate) metadata: &'a Metadata,
}

impl Keys<'_> {
    /// A required size.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::KeyType`].
    pub(crate) fn size(self, suffix: &str) -> Result<usize, Error> {
        self.metadata.u32(&self.family.key(suffix)).map(|it| it as usize)
    }

    /// A size that is 0 where the key is absent or no number. A rule for layers cannot fail; who needs the key reads it with
    /// [`Self::size`].
    pub(crate) fn size_or_zero(self, suffix: &str) -> usize {
        self.metadata.find::<u32>(&self.family.key(suffix)).ok().flatten().unwrap_or(0) as usize
    }

    fn no_size(self) -> Error {
        let name = self.metadata.find::<&str>("general.name").ok().flatten().unwrap_or_default().to_owned();
        Error::ShapeDimensions { name, problem: "a dimension is below 0, too large, or divided by 0" }
    }
}

/// One metadata key: its GGUF suffix, its key in config.json, and its default.
pub(crate) struct KeyRule {
    pub(crate) suffix: &'static str,
    /// Its key in config.json. `None` for a key that `config` derives from several.
    pub(crate) hf: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) default: Fallback,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    U32,
    F32,
    Str,
    Bool,
    /// A list, or a value of several types.
    Other,
}

pub(crate) enum Fallback {
    Required,
    Absent,
    /// The value of another key of the family.
    Same(&'static str),
    /// Hidden width / heads.
    HeadWidth,
    Number(f32),
    Count(u32),
    Flag(bool),
    /// A function of other keys.
    Computed(fn(Keys<'_>) -> Option<Value>),
    /// The length of the file's vocabulary, if it has one.
    Tokens,
}
