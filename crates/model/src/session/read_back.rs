//! Running tokens in chunks and decoding the bytes that come back.

use super::Session;
use super::record::Output;
use super::token_table::Segment;
use crate::Error;
use ridgeline_compute::{Executor, RunOutput};
use ridgeline_speculative::{Rows, Token};

impl<E: Executor> Session<E> {
    /// Appends `tokens` in chunks of at most a batch and passes the bytes of each read-back to `on_bytes`.
    pub(super) fn run_chunks(
        &mut self,
        tokens: &[Token],
        want: Rows,
        output: Output,
        mut on_bytes: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        let sequence = self.selected;
        self.check_tokens(sequence, tokens)?;
        let most =
            if want == Rows::All { self.scratch.tokens.min(self.scratch.rows) } else { self.scratch.tokens };
        let chunks = tokens.len().div_ceil(most.max(1));
        self.begin_append(&[(sequence, tokens.len())])?;
        for (i, chunk) in tokens.chunks(most).enumerate() {
            let last = i + 1 == chunks;
            let rows = if want == Rows::Last && !last { Rows::None } else { want };
            let segments = [self.next_segment(chunk.len())];
            self.run_pass(chunk, (&segments, rows.count(chunk.len())), output, &mut on_bytes)?;
        }
        self.current_mut().history.settle();
        Ok(())
    }

    /// Runs one forward pass with logits of its last `rows` tokens, and passes the bytes of each read-back to `on_bytes`.
    pub(super) fn run_pass(
        &mut self,
        tokens: &[Token],
        (segments, rows): (&[Segment], usize),
        output: Output,
        mut on_bytes: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        self.record_pass((tokens, segments), rows, output);
        let RunOutput { timing, reads } = self.executor.borrow_mut().run_with(&self.recording, self.run)?;
        self.times.add(&timing, tokens.len() as u64);
        let mut rest = tokens.iter().copied();
        for segment in segments {
            self.sequences[segment.sequence].append(rest.by_ref().take(segment.n), segment.n);
        }
        reads.iter().for_each(|bytes| on_bytes(bytes));
        Ok(())
    }
}

/// Little-endian `u32` values, such as token ids.
pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// Little-endian `f32` values, such as logits.
pub(super) fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    words(bytes).map(f32::from_bits)
}
