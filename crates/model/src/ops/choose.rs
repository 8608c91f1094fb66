//! The next token, chosen on the device: the likeliest, or one that is drawn.

use super::{Act, Ops, narrow};
use crate::scratch::Spot;
use ridgeline_compute::Slice;
use ridgeline_kernels as kernels;
use ridgeline_speculative::Sampler;

impl Ops<'_> {
    /// Greedy choice of each of `rows` rows of logits, to the ids of a buffer from `pick0` on.
    pub(crate) fn argmax(&mut self, logits: Act, rows: u32, (to, pick0): (Spot, u32)) -> Slice {
        let picks = self.scratch.buffer(to).slice(0, 4 * u64::from(pick0 + rows));
        let (n_rows, n_cols) = (rows, logits.width);
        let n_parts = kernels::argmax::parts_for(n_cols, self.caps);
        let kernel = kernels::argmax::Argmax { lanes: self.caps.max_invocations.min(256) };
        if n_parts == 1 {
            let params = kernels::argmax::Params { n_rows, n_cols, n_parts, pick0 };
            self.recording.run(kernel, params, kernels::argmax::Args { x: logits.slice, picks });
            return picks;
        }
        let parts = self.scratch.buffer(Spot::PartPicks).all();
        let params = kernels::argmax::Params { n_rows, n_cols, n_parts, pick0: 0 };
        self.recording.run(kernel, params, kernels::argmax::Args { x: logits.slice, picks: parts });
        let params = kernels::argmax_fold::Params { n_rows, n_cols, n_parts, pick0 };
        let args = kernels::argmax_fold::Args { x: logits.slice, parts, picks };
        self.recording.run(kernels::argmax_fold::ArgmaxFold { lanes: 64 }, params, args);
        picks
    }

    /// The token drawn from a row of logits, to an id of the tokens' buffer.
    pub(crate) fn draw(&mut self, logits: Act, Draw { sampler, at }: Draw, place: u32) {
        let params = kernels::draw::Params {
            n_cols: logits.width,
            pick0: place,
            top_k: narrow(sampler.top_k),
            top_p: sampler.top_p,
            // The lowest number that is added without a trace: a logarithm of zero would be infinite.
            min_p_ln: sampler.min_p.ln().max(-1e30),
            temperature: sampler.temperature,
            at,
        };
        let picks = self.scratch.buffer(Spot::Tokens).slice(0, 4 * u64::from(place + 1));
        let lanes = self.caps.max_invocations.min(256);
        self.recording.run(
            kernels::draw::Draw { lanes },
            params,
            kernels::draw::Args { x: logits.slice, picks },
        );
    }
}

/// A token drawn on the device, at a number in [0, 1).
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Draw {
    sampler: Sampler,
    at: f32,
}

impl Draw {
    /// Whether the device can draw as the sampler does.
    pub(crate) fn can(sampler: &Sampler) -> bool {
        let few = (1..=kernels::draw::MOST as usize).contains(&sampler.top_k);
        few && sampler.forgets() && !sampler.is_greedy()
    }

    /// The draw at a number.
    #[expect(clippy::cast_possible_truncation, reason = "the device counts in f32")]
    pub(crate) fn new(sampler: &Sampler, at: f64) -> Self {
        // The largest number below 1: rounding must not reach it.
        Self { sampler: *sampler, at: (at as f32).min(1.0 - f32::EPSILON / 2.0) }
    }
}
