//! Compiling a session's kernels before use, so that no token waits for a compiler.

use super::Session;
use super::record::{Output, PassTokens};
use super::token_table::Segment;
use crate::Error;
use crate::ops::Sample;
use ridgeline_compute::Executor;
use ridgeline_speculative::Sampler;
use std::collections::BTreeSet;
use std::iter::once;

impl<E: Executor> Session<E> {
    /// Compiles the kernels for forward passes of one token and of each of `batches` tokens. Nothing runs, and the
    /// sequence does not change.
    ///
    /// One call compiles all of them, so the executor can use several threads. Lengths beyond the batch are split as
    /// in a run. Each length is recorded at both ends of the context: only long contexts use KV splits.
    ///
    /// # Errors
    /// A kernel that does not compile here, or a lost device.
    pub fn prepare(&mut self, batches: &[usize]) -> Result<(), Error> {
        // A fresh recording: a recording keeps the kernels of its past, and each run looks all of them up.
        let own = std::mem::take(&mut self.recording);
        for n in self.chunk_lengths(batches) {
            for position in [0, self.cache.capacity - n] {
                let segments = [Segment { sequence: self.selected, position, n }];
                let tokens = PassTokens { first: 0, segments: &segments };
                // Greedy choices need the kernels of logits and those of argmax.
                self.record_forward(tokens, n.min(self.scratch.rows), Output::GreedyTokens);
                self.recording.clear();
            }
        }
        let sampled = Output::Next(0, Some(Sample::new(&Sampler::default(), 0.0)));
        let segments = [Segment { sequence: self.selected, position: 0, n: 1 }];
        self.record_forward(PassTokens { first: 0, segments: &segments }, 1, sampled);
        let recorded = std::mem::replace(&mut self.recording, own);
        self.executor.borrow_mut().prepare(recorded.kernels())?;
        Ok(())
    }

    /// The lengths of the forward passes that `batches` are split into, for any number of wanted rows, and 1.
    fn chunk_lengths(&self, batches: &[usize]) -> BTreeSet<usize> {
        let split = |n: usize| {
            [self.scratch.tokens, self.scratch.rows].into_iter().flat_map(move |most| [n.min(most), n % most])
        };
        let lengths = batches.iter().copied().flat_map(split).filter(|&n| n > 0);
        once(1).chain(lengths).collect()
    }
}
