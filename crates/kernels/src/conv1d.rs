//! Causal depthwise convolution with SiLU and a state, before the recurrence of Mamba (Gu & Dao 2023) and Gated DeltaNet
//! (Yang et al. 2024).

use crate::activation::Activation;
use crate::common::{bytes4, to_u32, without_sums};
use ridgeline_compute::wgsl::array;
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};

kernel! {
    /// y\[t, c\] = silu(Σ_k weights\[c, k\] · input\[t − `width` + 1 + k, c\]) for `n_tokens` tokens and `n_channels` channels.
    ///
    /// The launch's tokens are of one sequence, and begin at row `token0` of x and of y. There input\[t, c\] is
    /// x\[t · ld + first + c\]. Before it is `state` \[width − 1, n_channels\], the last inputs of the tokens before, oldest first. It is zero at the start of a sequence, and is updated in place. `width` is at
    /// least 2.
    pub struct Conv1d("conv1d") { width: u32, workgroup_size: u32 }
    params { n_tokens: u32, token0: u32, n_channels: u32, ld: u32, first: u32 }
    bindings { x: read array<f32>, weights: read array<f32>, state: update array<f32>, y: write array<f32> }
}

impl Kernel for Conv1d {
    fn all(_caps: &Caps) -> Vec<Self> {
        [2, 3, 4].map(|width| Self { width, workgroup_size: 64 }).to_vec()
    }
    fn defines(&self) -> Defines {
        without_sums(self.workgroup_size).u32("WIDTH", self.width)
    }
    fn groups(&self, p: &Params) -> u64 {
        u64::from(p.n_channels).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        (2 * u64::from(self.width) + Activation::Silu.flops()) * values(p)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let channels = u64::from(p.n_channels);
        let [weights, state] = [self.width, self.width - 1].map(|rows| bytes4(u64::from(rows) * channels));
        Bytes { x: bytes4(values(p)), weights, state: 2 * state, y: bytes4(values(p)) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let (last, channels) = (u64::from(p.token0 + p.n_tokens - 1), u64::from(p.n_channels));
        let x = last * u64::from(p.ld) + u64::from(p.first) + channels;
        let state = bytes4(u64::from(self.width - 1) * channels);
        Bytes { x: bytes4(x), state, y: bytes4((last + 1) * channels), ..self.traffic(p) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let (n_tokens, n_channels, first) = (rng.range(1, 9), rng.range(1, 200), rng.range(0, 5));
        let ld = first + n_channels + rng.range(0, 5);
        let params = Params { n_tokens, token0: rng.range(0, 3), n_channels, ld, first };
        let Bytes { x, weights, state, .. } = self.min_binding_size(&params);
        let [x, weights, state] = [x, weights, state].map(|bytes| rng.words(to_u32(bytes / 4) as usize));
        TestInput { params, bindings: vec![x, weights, state, vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (channels, width) = (p.n_channels as usize, self.width as usize);
        let (token0, n_tokens) = (p.token0 as usize, p.n_tokens as usize);
        // All inputs, those of the state first.
        let mut inputs = host.state.to_vec();
        for row in host.x.chunks(p.ld as usize).skip(token0).take(n_tokens) {
            inputs.extend_from_slice(&row[p.first as usize..][..channels]);
        }
        for (t, row) in host.y.chunks_exact_mut(channels).skip(token0).take(n_tokens).enumerate() {
            for (c, y) in row.iter_mut().enumerate() {
                let tap = |k: usize| f64::from(host.weights[c * width + k]) * f64::from(inputs[(t + k) * channels + c]);
                *y = Activation::Silu.apply((0..width).map(tap).sum()) as f32;
            }
        }
        host.state.copy_from_slice(&inputs[n_tokens * channels..]);
    }
}

fn values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_channels)
}
