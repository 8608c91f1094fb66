//! The Gated DeltaNet recurrence (Yang et al. 2024).

use super::{Activation, Ops};
use crate::config::dim32;
use crate::layers::DeltaHeads;
use crate::matrix::Vector;
use crate::scratch::Temp;
use crate::session::token_table::Segment;
use ridgeline_kernels as kernels;

impl<'a> Ops<'a> {
    /// Causal depthwise convolution of the first columns of `x`, then SiLU and L2 norms of queries and keys.
    /// Returns (tokens, queries + keys + values).
    pub(crate) fn delta_conv(
        &mut self,
        (layer, heads): (usize, &DeltaHeads),
        x: Activation,
        weights: &Vector,
    ) -> Activation {
        let y = self.activation(Temp::DeltaQkv, heads.channels());
        if self.ablated {
            return y;
        }
        for (segment, token0) in self.segments_in_rows() {
            let (state, _) = heads.split(self.cache.recurrent(layer, segment.sequence));
            let params = kernels::conv1d::Params {
                n_tokens: dim32(segment.n),
                token0,
                n_channels: heads.channels(),
                ld: x.width,
                first: 0,
            };
            let args = kernels::conv1d::Args { x: x.slice, weights: weights.slice(), state, y: y.slice };
            let kernel = kernels::conv1d::Conv1d { width: heads.conv, workgroup_size: 64 };
            self.recording.run(kernel, params, args);
        }
        let params = kernels::l2_norm::Params {
            n_tokens: self.tokens,
            n_heads: 2 * heads.key_heads,
            head_dim: heads.key,
            ld: y.width,
            eps: DeltaHeads::L2_EPSILON,
        };
        self.recording.run(
            kernels::l2_norm::L2Norm::new(self.caps),
            params,
            kernels::l2_norm::Args { x: y.slice },
        );
        y
    }

    /// The recurrence over queries, keys and values `qkv`. The columns of `projected` from `gates` on are the decay's and
    /// the update's. Returns (tokens, value heads · value width).
    pub(crate) fn delta_rule(
        &mut self,
        (layer, heads): (usize, &DeltaHeads),
        [qkv, projected]: [Activation; 2],
        [decay, dt_bias]: [&Vector; 2],
    ) -> Activation {
        let out = self.activation(Temp::DeltaOut, heads.value_width());
        if self.ablated {
            return out;
        }
        for (segment, token0) in self.segments_in_rows() {
            let (_, state) = heads.split(self.cache.recurrent(layer, segment.sequence));
            let params = kernels::gated_delta_rule::Params {
                n_tokens: dim32(segment.n),
                token0,
                key_heads: heads.key_heads,
                value_heads: heads.value_heads,
                value: heads.value,
                ld: qkv.width,
                gates_ld: projected.width,
                alpha0: heads.alpha_column(),
                beta0: heads.alpha_column() + heads.value_heads,
                scale: heads.scale(),
            };
            let args = kernels::gated_delta_rule::Args {
                qkv: qkv.slice,
                gates: projected.slice,
                decay: decay.slice(),
                dt_bias: dt_bias.slice(),
                state,
                out: out.slice,
            };
            let kernel = kernels::gated_delta_rule::GatedDeltaRule::new(heads.key, self.caps);
            self.recording.run(kernel, params, args);
        }
        out
    }

    /// The segments, each with the index of its first token. A launch updates the state of one sequence.
    fn segments_in_rows(&self) -> impl Iterator<Item = (Segment, u32)> + use<'a> {
        let mut next = 0;
        self.segments.iter().map(move |&segment| {
            let token0 = next;
            next += dim32(segment.n);
            (segment, token0)
        })
    }

    /// norm(x) ⊙ gain ⊙ SiLU(z) per head in place, with z in the columns of `projected` after the convolution's.
    pub(crate) fn delta_norm(&mut self, heads: &DeltaHeads, [x, projected]: [Activation; 2], gain: &Vector) {
        if self.ablated {
            return;
        }
        let params = kernels::gated_rms_norm::Params {
            n_tokens: self.tokens,
            n_heads: heads.value_heads,
            head_dim: heads.value,
            ld: projected.width,
            first: heads.channels(),
            eps: self.config.norm_eps,
        };
        let args = kernels::gated_rms_norm::Args { x: x.slice, gain: gain.slice(), z: projected.slice };
        self.recording.run(kernels::gated_rms_norm::GatedRmsNorm::new(self.caps), params, args);
    }
}
