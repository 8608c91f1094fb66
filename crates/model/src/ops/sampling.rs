//! The next token, chosen on the device: the likeliest, or one that is drawn.

use super::{Activation, Ops};
use crate::config::dim32;
use crate::scratch::Temp;
use ridgeline_compute::Slice;
use ridgeline_kernels as kernels;
use ridgeline_speculative::Sampler;

impl Ops<'_> {
    /// Greedy choice of each of `rows` rows of logits, to the ids of a buffer from `pick0` on.
    pub(crate) fn argmax(&mut self, logits: Activation, rows: u32, (to, pick0): (Temp, u32)) -> Slice {
        let picks = self.scratch.buffer(to).slice(0, 4 * u64::from(pick0 + rows));
        let (n_rows, n_cols) = (rows, logits.width);
        let n_splits = kernels::argmax::argmax_splits_for(n_cols, self.caps);
        let kernel = kernels::argmax::Argmax { lanes: self.caps.max_invocations.min(256) };
        if n_splits == 1 {
            let params = kernels::argmax::Params { n_rows, n_cols, n_splits, pick0 };
            self.recording.run(kernel, params, kernels::argmax::Args { x: logits.slice, picks });
            return picks;
        }
        let parts = self.scratch.buffer(Temp::PartialArgmax).all();
        let params = kernels::argmax::Params { n_rows, n_cols, n_splits, pick0: 0 };
        self.recording.run(kernel, params, kernels::argmax::Args { x: logits.slice, picks: parts });
        let params = kernels::argmax_reduce::Params { n_rows, n_cols, n_splits, pick0 };
        let args = kernels::argmax_reduce::Args { x: logits.slice, parts, picks };
        self.recording.run(kernels::argmax_reduce::ArgmaxReduce { lanes: 64 }, params, args);
        picks
    }

    /// The token drawn from a row of logits, to an id of the tokens' buffer.
    pub(crate) fn sample_top_k(&mut self, logits: Activation, Sample { sampler, at }: Sample, place: u32) {
        let params = kernels::sample_top_k::Params {
            n_cols: logits.width,
            pick0: place,
            top_k: dim32(sampler.top_k),
            top_p: sampler.top_p,
            // The lowest number that is added without a trace: a logarithm of zero would be infinite.
            min_p_ln: sampler.min_p.ln().max(-1e30),
            temperature: sampler.temperature,
            at,
        };
        let picks = self.scratch.buffer(Temp::Tokens).slice(0, 4 * u64::from(place + 1));
        let lanes = self.caps.max_invocations.min(256);
        self.recording.run(
            kernels::sample_top_k::SampleTopK { lanes },
            params,
            kernels::sample_top_k::Args { x: logits.slice, picks },
        );
    }
}

/// A token drawn on the device, at a number in [0, 1).
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    sampler: Sampler,
    at: f32,
}

impl Sample {
    /// Whether the device can sample as the sampler does.
    pub(crate) fn supports(sampler: &Sampler) -> bool {
        let few = (1..=kernels::sample_top_k::MAX_K as usize).contains(&sampler.top_k);
        few && sampler.ignores_history() && !sampler.is_greedy()
    }

    /// The sample at a number.
    #[expect(clippy::cast_possible_truncation, reason = "the device counts in f32")]
    pub(crate) fn new(sampler: &Sampler, at: f64) -> Self {
        // The largest number below 1: rounding must not reach it.
        Self { sampler: *sampler, at: (at as f32).min(1.0 - f32::EPSILON / 2.0) }
    }
}
