//! Choosing the next token on the device: greedily, or by top-k sampling.

use super::{Activation, Ops};
use crate::config::dim32;
use crate::scratch::Temp;
use ridgeline_compute::Slice;
use ridgeline_kernels as kernels;
use ridgeline_speculative::Sampler;

impl Ops<'_> {
    /// Greedy choice of each of `rows` rows of logits, stored as ids in `to` from index `pick0` on.
    pub(crate) fn argmax(&mut self, logits: Activation, rows: u32, (to, pick0): (Temp, u32)) -> Slice {
        let picks = self.scratch.buffer(to).slice(0, 4 * u64::from(pick0 + rows));
        let (n_rows, n_cols) = (rows, logits.width);
        let n_splits = kernels::argmax::argmax_splits_for(n_cols, self.caps);
        let kernel = kernels::argmax::Argmax { workgroup_size: self.caps.max_invocations.min(256) };
        if n_splits == 1 {
            let params = kernels::argmax::Params { n_rows, n_cols, n_splits, pick0 };
            self.recording.run(kernel, params, kernels::argmax::Args { x: logits.slice, picks });
            return picks;
        }
        let parts = self.scratch.buffer(Temp::PartialArgmax).all();
        let params = kernels::argmax::Params { n_rows, n_cols, n_splits, pick0: 0 };
        self.recording.run(kernel, params, kernels::argmax::Args { x: logits.slice, picks: parts });
        let params = kernels::argmax_reduce::Params { n_rows, n_cols, n_splits, pick0 };
        let args = kernels::argmax_reduce::Args { x: logits.slice, split_picks: parts, picks };
        self.recording.run(kernels::argmax_reduce::ArgmaxReduce { workgroup_size: 64 }, params, args);
        picks
    }

    /// Samples a token from one row of logits and stores its id at index `pick0` of [`Temp::Tokens`].
    pub(crate) fn sample_top_k(
        &mut self,
        logits: Activation,
        Sample { sampler, random }: Sample,
        pick0: u32,
    ) {
        let params = kernels::sample_top_k::Params {
            n_cols: logits.width,
            pick0,
            top_k: dim32(sampler.top_k),
            top_p: sampler.top_p,
            // Finite, because ln 0 is −∞; low enough to keep every candidate.
            min_p_ln: sampler.min_p.ln().max(-1e30),
            temperature: sampler.temperature,
            random,
        };
        let picks = self.scratch.buffer(Temp::Tokens).slice(0, 4 * u64::from(pick0 + 1));
        self.recording.run(
            kernels::sample_top_k::SampleTopK::new(self.caps),
            params,
            kernels::sample_top_k::Args { x: logits.slice, picks },
        );
    }
}

/// A sampler and the uniform random number in [0, 1) that selects the token.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    sampler: Sampler,
    random: f32,
}

impl Sample {
    /// Whether the kernel implements this sampler.
    pub(crate) fn supports(sampler: &Sampler) -> bool {
        let top_k_fits = (1..=kernels::sample_top_k::MAX_K as usize).contains(&sampler.top_k);
        top_k_fits && sampler.ignores_history() && !sampler.is_greedy()
    }

    /// Samples with the number `random`, rounded to f32.
    #[expect(clippy::cast_possible_truncation, reason = "the kernel computes in f32")]
    pub(crate) fn new(sampler: &Sampler, random: f64) -> Self {
        // Rounding must not reach 1, so the largest f32 below it is the limit.
        Self { sampler: *sampler, random: (random as f32).min(1.0 - f32::EPSILON / 2.0) }
    }
}
