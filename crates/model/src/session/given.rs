//! Rows of the residual stream that the caller gives in place of a token's embedding, such as those of an image.
//!
//! The given rows continue the embedding table: row i stands behind the vocabulary. A token at a given position is looked up
//! there, by the same kernel.

use super::Session;
use crate::Error;
use crate::config::dim32;
use crate::matrix::{RowChunk, WeightMatrix};
use ridgeline_compute::{Executor, Role};
use ridgeline_kernels::WeightLayout;
use ridgeline_quant::Format;
use ridgeline_speculative::Token;
use std::borrow::Cow;

/// The given rows of a sequence.
#[derive(Debug, Default)]
pub(super) struct GivenRows {
    /// The positions, ascending. The row of the i-th is row i of the table.
    positions: Vec<usize>,
    /// (positions, hidden) in f32. The first row has the number that follows the vocabulary.
    table: Option<WeightMatrix>,
}

impl GivenRows {
    /// The ids to look up for `tokens` from `position` on.
    pub(super) fn ids<'t>(&self, position: usize, tokens: &'t [Token]) -> Cow<'t, [Token]> {
        let Some(chunk) = self.table(position, tokens.len()).and_then(|it| it.chunks.first()) else {
            return Cow::Borrowed(tokens);
        };
        let id = |(i, &token): (usize, &Token)| match self.positions.binary_search(&(position + i)) {
            Ok(row) => chunk.row0 + dim32(row),
            Err(_) => token,
        };
        tokens.iter().enumerate().map(id).collect()
    }

    /// The table, if `n` tokens from `position` on need one of its rows.
    pub(super) fn table(&self, position: usize, n: usize) -> Option<&WeightMatrix> {
        let first = self.positions.partition_point(|&it| it < position);
        let needed = self.positions.get(first).is_some_and(|&it| it < position + n);
        self.table.as_ref().filter(|_| needed)
    }
}

impl<E: Executor> Session<E> {
    /// Gives the rows that the residual stream begins with at `positions`, in place of the embeddings of the tokens there.
    /// `rows` has one row of the model's hidden width for each position. They replace those of an earlier call, and stay
    /// valid when the sequence is truncated and extended again. Tokens that the device chooses while it decodes keep their
    /// embeddings.
    ///
    /// # Errors
    /// [`Error::Embeddings`] unless positions rise, lie in the context and have a row each; [`Error::Sequence`] where the
    /// session has several sequences; a device too small.
    pub fn give_embeddings(&mut self, positions: &[usize], rows: &[f32]) -> Result<(), Error> {
        if self.sequences.len() > 1 {
            let what = "shares its session with others; give embeddings to a session of one sequence";
            return Err(Error::Sequence { sequence: self.selected, what });
        }
        let (hidden, capacity) = (self.model.config.hidden, self.cache.capacity);
        let fits = positions.is_sorted_by(|a, b| a < b) && positions.last().is_none_or(|&it| it < capacity);
        if !fits || rows.len() != positions.len() * hidden {
            let (rows, positions) = (rows.len(), positions.len());
            return Err(Error::Embeddings { rows, positions, hidden, capacity });
        }
        self.given = GivenRows::default();
        if positions.is_empty() {
            return Ok(());
        }
        let mut executor = self.executor.borrow_mut();
        let buffer = executor.alloc(4 * rows.len() as u64, Role::Activation, "given embeddings")?;
        executor.write(buffer.all(), bytemuck::cast_slice(rows))?;
        let (row0, n, cols) = (dim32(self.model.config.vocab), dim32(positions.len()), dim32(hidden));
        let chunks = vec![RowChunk { slice: buffer.all(), buffer, row0, rows: n }];
        let stride = ridgeline_kernels::stride(Format::SINGLE, hidden);
        let (format, layout) = (Format::SINGLE, WeightLayout::Plain);
        let table = WeightMatrix { chunks, format, rows: n, cols, stride, layout };
        self.given = GivenRows { positions: positions.to_vec(), table: Some(table) };
        Ok(())
    }
}
