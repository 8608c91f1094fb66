//! Validation: options against model and device, tokens against vocabulary and cache.

use super::Session;
use crate::Error;
use crate::config::dim32;
use crate::layers::Heads;
use ridgeline_compute::{Caps, Executor};
use ridgeline_kernels::attention_for;
use ridgeline_quant::Format;
use ridgeline_speculative::Token;

impl<E: Executor> Session<E> {
    /// Checks that the session has this sequence.
    pub(super) const fn check_sequence(&self, sequence: usize) -> Result<(), Error> {
        let sequences = self.sequences.len();
        if sequence < sequences { Ok(()) } else { Err(Error::NoSequence { sequence, sequences }) }
    }

    /// Checks that the cache can hold `wanted` tokens of a sequence in all.
    pub(super) fn check_room(&self, wanted: usize) -> Result<(), Error> {
        let capacity = self.cache.capacity;
        if wanted > capacity { Err(Error::ContextFull { wanted, capacity }) } else { Ok(()) }
    }

    /// Checks that `tokens` fit behind those of a sequence, and that the vocabulary has each.
    pub(super) fn check_tokens(&self, sequence: usize, tokens: &[Token]) -> Result<(), Error> {
        self.check_room(self.sequences[sequence].len + tokens.len())?;
        let vocab = self.model.config.vocab;
        match tokens.iter().find(|&&token| token as usize >= vocab) {
            Some(&token) => Err(Error::Token { token, vocab }),
            None => Ok(()),
        }
    }
}

/// Refuses heads whose fused attention kernel needs more workgroup memory than the device has.
pub(crate) fn attention_memory(
    heads: &[Heads],
    cache: [Format; 2],
    batch: usize,
    caps: &Caps,
) -> Result<(), Error> {
    let limit = caps.max_workgroup_memory;
    for it in heads {
        let bytes = attention_for(cache, it.shape(), dim32(batch), caps).workgroup_bytes();
        if bytes > limit {
            let label = format!("attention with {} query heads of {} per key/value head", it.group(), it.key);
            let (bytes, limit) = (u64::from(bytes), u64::from(limit));
            return Err(
                ridgeline_compute::Error::Limit { label, bytes, limit, what: "workgroup memory" }.into()
            );
        }
    }
    Ok(())
}
