//! What makes a folder's tensor GGUF's: a new order of the weights, a function of each, or several tensors in one.

use super::Keys;
use crate::{
    Error,
    gather::{Gather, Order},
};

/// The difference between a folder's tensor and GGUF's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transform {
    /// None.
    Same,
    /// The folder stores gains of a norm as their distance from one.
    AddOne,
    /// The rows of Q, K and V follow each other in each head. In GGUF, those of Q of all heads come first.
    SplitQkv,
    /// One tensor per expert, stacked in GGUF.
    StackExperts,
    /// The gates, from a tensor of gate and up projections of all experts.
    GateOfPair,
    /// The up projections of the same.
    UpOfPair,
    /// MLA's key projection from the latent, transposed in each head.
    KeyOfLatent,
    /// MLA's value projection from the latent.
    ValueOfLatent,
    /// Value heads in the order of Gated `DeltaNet`'s GGUF.
    ValueHeads(Tiled),
}

/// Where a tensor of Gated `DeltaNet` has its value heads. A folder groups them by key head, GGUF repeats the key heads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tiled {
    /// In its rows.
    Rows,
    /// In its rows, behind those of all queries and keys.
    RowsBehindKeys,
    /// As [`Self::RowsBehindKeys`], of a convolution: one filter a channel, `[channels, 1, width]` in the folder, or
    /// `[channels, width, 1]` by MLX.
    Filters,
    /// In its columns.
    Columns,
    /// One value a head, of which GGUF stores −exp.
    Decay,
}

/// A tensor's new form.
pub(crate) struct Form {
    /// Outermost dimension first.
    pub(crate) shape: Vec<usize>,
    /// `None` for the stored order.
    pub(crate) order: Option<Order>,
    /// A function of each weight. Its results are in single precision.
    pub(crate) map: Option<fn(f32) -> f32>,
}

impl Form {
    fn ordered(shape: Vec<usize>, unit: usize, pieces: Vec<Gather>) -> Self {
        Self { shape, order: Some(Order { unit, pieces }), map: None }
    }
}

impl Transform {
    /// The form of a tensor of this shape; `None` if the shape does not fit the hyperparameters. Of stacked experts, the shape
    /// is that of the stack.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::KeyType`].
    pub(crate) fn form(self, keys: Keys<'_>, shape: &[usize]) -> Result<Option<Form>, Error> {
        let unchanged = || Form { shape: shape.to_vec(), order: None, map: None };
        Ok(match self {
            Self::Same | Self::StackExperts => Some(unchanged()),
            Self::AddOne => Some(Form { map: Some(|it| it + 1.0), ..unchanged() }),
            Self::SplitQkv => split_qkv(shape, keys.size("attention.head_count")?),
            Self::GateOfPair => half(shape, 0),
            Self::UpOfPair => half(shape, 1),
            Self::KeyOfLatent | Self::ValueOfLatent => {
                let heads = keys.size("attention.head_count")?;
                let key = keys.size("attention.key_length_mla")?;
                let rotated = keys.size("rope.dimension_count")?;
                let value = keys.size("attention.value_length_mla")?;
                let Some(plain) = key.checked_sub(rotated) else { return Ok(None) };
                latent(shape, [heads, plain, value], self == Self::KeyOfLatent)
            }
            Self::ValueHeads(tiled) => {
                let n_keys = keys.size("ssm.group_count")?;
                let n_values = keys.size("ssm.time_step_rank")?;
                // Two products of 32-bit numbers could exceed 64 bits.
                let behind = (2 * n_keys).checked_mul(keys.size("ssm.state_size")?);
                behind.and_then(|behind| tiled.form(shape, n_keys, n_values, behind))
            }
        })
    }
}

/// The quotient, if there is no rest.
const fn divided(n: usize, by: usize) -> Option<usize> {
    if by > 0 && n.is_multiple_of(by) { Some(n / by) } else { None }
}

/// The weights of a row.
fn row(shape: &[usize]) -> usize {
    shape[1..].iter().product()
}

fn split_qkv(shape: &[usize], heads: usize) -> Option<Form> {
    let width = divided(*shape.first()?, 3 * heads)?;
    let piece = Gather { offset: 0, counts: [1, 3, heads, width], strides: [0, width, 3 * width, 1] };
    Some(Form::ordered(shape.to_vec(), row(shape), vec![piece]))
}

/// The first or second half of the rows of each expert.
fn half(shape: &[usize], which: usize) -> Option<Form> {
    let &[experts, rows, cols] = shape else { return None };
    let n = divided(rows, 2)?;
    let piece = Gather { offset: which * n, counts: [1, 1, experts, n], strides: [0, 0, rows, 1] };
    Some(Form::ordered(vec![experts, n, cols], cols, vec![piece]))
}

/// Keys or values of the heads, whose rows follow each other in each head.
fn latent(shape: &[usize], [heads, key, value]: [usize; 3], keys: bool) -> Option<Form> {
    let &[rows, rank] = shape else { return None };
    let both = key + value;
    if heads.checked_mul(both) != Some(rows) {
        return None;
    }
    Some(if keys {
        let piece = Gather { offset: 0, counts: [1, heads, rank, key], strides: [0, both * rank, 1, rank] };
        Form::ordered(vec![heads, rank, key], 1, vec![piece])
    } else {
        let piece = Gather { offset: key, counts: [1, 1, heads, value], strides: [0, 0, both, 1] };
        Form::ordered(vec![heads, value, rank], rank, vec![piece])
    })
}

impl Tiled {
    /// `behind` is the number of rows of all queries and keys.
    fn form(self, shape: &[usize], n_keys: usize, n_values: usize, behind: usize) -> Option<Form> {
        let group = divided(n_values, n_keys)?;
        // (key head, value head of it) becomes (value head of it, key head).
        let tiled = |offset: usize, width: usize| Gather {
            offset,
            counts: [1, group, n_keys, width],
            strides: [0, width, group * width, 1],
        };
        let first = |n: usize| Gather { offset: 0, counts: [1, 1, 1, n], strides: [0, 0, 0, 1] };
        let rows = *shape.first()?;
        let mut form = match self {
            Self::Rows | Self::Decay => {
                Form::ordered(shape.to_vec(), row(shape), vec![tiled(0, divided(rows, n_values)?)])
            }
            Self::RowsBehindKeys | Self::Filters => {
                let width = divided(rows.checked_sub(behind)?, n_values)?;
                Form::ordered(shape.to_vec(), row(shape), vec![first(behind), tiled(behind, width)])
            }
            Self::Columns => {
                let &[rows, cols] = shape else { return None };
                let piece =
                    Gather { offset: 0, counts: [1, rows, group, n_keys], strides: [0, n_values, 1, group] };
                Form::ordered(shape.to_vec(), divided(cols, n_values)?, vec![piece])
            }
        };
        if self == Self::Filters {
            let (&[channels, 1, width] | &[channels, width, 1]) = shape else { return None };
            form.shape = vec![channels, width];
        }
        if self == Self::Decay {
            form.map = Some(|it| -crate::value::narrow(f64::from(it).exp()));
        }
        if group == 1 {
            form.order = None;
        }
        Some(form)
    }
}
