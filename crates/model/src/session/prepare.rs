//! Compiling ahead what a session will run, so that no token waits for a compiler.

use super::{Output, Session, TokenRange};
use crate::Error;
use crate::ops::Sample;
use ridgeline_compute::Executor;
use ridgeline_speculative::Sampler;
use std::collections::BTreeSet;
use std::iter::once;

impl<E: Executor> Session<E> {
    /// Compiles, all at once and so on several threads, what passes of one token and of each of `batches` tokens need, at
    /// the beginning of the context and at its end, where attention is cut; longer ones are cut as when they run. Nothing
    /// runs, and the sequence stays as it is.
    ///
    /// # Errors
    /// A kernel that does not compile here, or a lost device.
    pub fn prepare(&mut self, batches: &[usize]) -> Result<(), Error> {
        // A recording names every kernel it ever held, and each run looks all of them up: so not the session's own.
        let own = std::mem::take(&mut self.recording);
        for n in self.pieces(batches) {
            for position in [0, self.cache.capacity - n] {
                // Rows of logits come from the same kernels as choices among them.
                self.record_forward(
                    TokenRange { first: 0, n, position },
                    n.min(self.scratch.rows),
                    Output::GreedyTokens,
                );
                self.recording.clear();
            }
        }
        let sampled = Output::Next(0, Some(Sample::new(&Sampler::default(), 0.0)));
        self.record_forward(TokenRange { first: 0, n: 1, position: 0 }, 1, sampled);
        let recorded = std::mem::replace(&mut self.recording, own);
        self.executor.borrow_mut().prepare(recorded.kernels())?;
        Ok(())
    }

    /// The lengths of the passes that so many tokens make, whether the last position is wanted or each, and one.
    fn pieces(&self, batches: &[usize]) -> BTreeSet<usize> {
        let cut = |n: usize| {
            [self.scratch.tokens, self.scratch.rows].into_iter().flat_map(move |most| [n.min(most), n % most])
        };
        let lengths = batches.iter().copied().flat_map(cut).filter(|&n| n > 0);
        once(1).chain(lengths).collect()
    }
}
