//! What the tokens of a sequence see, on the device: the binding `tokens` of the kernels between the QKV projection and
//! the output projection.

use crate::Error;
use crate::config::dim32;
use crate::layers::Heads;
use ridgeline_compute::{Buffer, Executor, Role, Slice};
use ridgeline_kernels::{TokenInfo, VisibleRows};

/// The [`TokenInfo`] of every position of the context, once per distinct window of the model's layers.
///
/// A session holds one causal sequence that begins at row 0. So all entries are known beforehand, and a forward pass
/// uploads none.
#[derive(Debug)]
pub(crate) struct TokenTable {
    buffer: Buffer,
    windows: Vec<Option<u32>>,
    context: usize,
}

/// The tokens of a forward pass, as layers with one window see them.
#[derive(Clone, Debug)]
pub(crate) struct TokensSeen {
    /// The window, in tokens. `None`: a token sees all tokens before it.
    pub(crate) window: Option<u32>,
    /// Index of the first in the table.
    pub(crate) token0: u32,
    pub(crate) tokens: Vec<TokenInfo>,
    /// What they see together.
    pub(crate) rows: VisibleRows,
}

impl TokenTable {
    /// The table for a context of `context` positions and for the windows of `heads`.
    pub(crate) fn new(executor: &mut dyn Executor, heads: &[Heads], context: usize) -> Result<Self, Error> {
        let mut windows: Vec<Option<u32>> = heads.iter().map(|it| it.window).collect();
        windows.sort_unstable();
        windows.dedup();
        if windows.is_empty() {
            // Recurrent layers see no rows, but some launches store rows of activations.
            windows.push(None);
        }
        let tokens: Vec<_> = windows.iter().flat_map(|&window| causal(0..context, window)).collect();
        let buffer = executor.alloc(TokenInfo::BYTES * tokens.len() as u64, Role::Activation, "tokens")?;
        executor.write(buffer.all(), bytemuck::cast_slice(&tokens))?;
        Ok(Self { buffer, windows, context })
    }

    /// The binding.
    pub(crate) fn slice(&self) -> Slice {
        self.buffer.all()
    }

    /// What `n` tokens from `position` on see, for every window.
    pub(crate) fn seen(&self, position: usize, n: usize) -> Vec<TokensSeen> {
        let seen = |(index, &window): (usize, &Option<u32>)| {
            let tokens: Vec<_> = causal(position..position + n, window).collect();
            let (token0, rows) = (dim32(index * self.context + position), VisibleRows::of(&tokens));
            TokensSeen { window, token0, tokens, rows }
        };
        self.windows.iter().enumerate().map(seen).collect()
    }
}

/// The tokens at `positions` of a sequence that begins at row 0.
fn causal(positions: std::ops::Range<usize>, window: Option<u32>) -> impl Iterator<Item = TokenInfo> {
    positions.map(move |position| TokenInfo::causal(0, dim32(position), window))
}
