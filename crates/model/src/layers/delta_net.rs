//! Gated DeltaNet (Yang et al. 2024) as in Qwen3-Next and Qwen3.5: a short convolution, then a matrix-valued recurrence.

use super::{Mixer, Output};
use crate::keys::{Keys, is_multiple};
use crate::layers::heads::{MAX_HEADS, inverse_root};
use crate::{Activation, Config, Error, FusedLinear, Loader, Ops, State, Switches, Temp, Vector};
use ridgeline_compute::Slice;

/// Heads of a Gated DeltaNet layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaHeads {
    /// Query heads, and as many key heads.
    pub key_heads: u32,
    /// Value heads, each with a state of key × value.
    pub value_heads: u32,
    /// Width of a query or key head.
    pub key: u32,
    /// Width of a value head.
    pub value: u32,
    /// Taps of the convolution.
    pub conv: u32,
}

impl DeltaHeads {
    /// ε of the L2 norms of queries and keys.
    pub(crate) const L2_EPSILON: f32 = 1e-6;

    fn read(keys: Keys<'_>) -> Result<Self, Error> {
        let [key, key_heads] = [keys.width("ssm.state_size")?, keys.size("ssm.group_count")?];
        let value_heads = keys.size("ssm.time_step_rank")?;
        let inner = keys.width("ssm.inner_size")?;
        let rule = "it must be a positive multiple of ssm.group_count";
        keys.check("ssm.time_step_rank", value_heads, is_multiple(value_heads, key_heads), rule)?;
        let rule = "it must be a multiple of ssm.time_step_rank";
        keys.check("ssm.inner_size", inner, inner.is_multiple_of(value_heads), rule)?;
        let (value, rule) = (inner / value_heads, "a value head must be a multiple of 4 wide");
        keys.check("ssm.inner_size", inner, is_multiple(value, 4), rule)?;
        keys.check(
            "ssm.state_size",
            key,
            key <= 256,
            "it must be at most 256, which a kernel keeps in registers",
        )?;
        keys.check("ssm.time_step_rank", value_heads, value_heads <= MAX_HEADS, "it must be at most 4096")?;
        let conv = keys.size("ssm.conv_kernel")?;
        keys.check("ssm.conv_kernel", conv, (2..=4).contains(&conv), "it must lie between 2 and 4")?;
        Ok(Self { key_heads, value_heads, key, value, conv })
    }

    /// Channels of the convolution: queries, keys and values.
    pub(crate) const fn channels(&self) -> u32 {
        2 * self.key_heads * self.key + self.value_width()
    }

    pub(crate) const fn value_width(&self) -> u32 {
        self.value_heads * self.value
    }

    /// Column of the decay's gates in the input projection. Those of the update follow.
    pub(crate) const fn alpha_column(&self) -> u32 {
        self.channels() + self.value_width()
    }

    /// Columns of the input projection.
    const fn columns(&self) -> u32 {
        self.alpha_column() + 2 * self.value_heads
    }

    /// Multiplier of the queries.
    pub(crate) fn scale(&self) -> f32 {
        inverse_root(self.key)
    }

    /// Bytes of the convolution's inputs that later tokens need, padded to the alignment of slices.
    fn conv_bytes(&self) -> u64 {
        (4 * u64::from(self.conv - 1) * u64::from(self.channels())).next_multiple_of(256)
    }

    /// Bytes of the recurrence's states.
    fn state_bytes(&self) -> u64 {
        4 * u64::from(self.value_width()) * u64::from(self.key)
    }

    /// The convolution's part of the layer's state, and the recurrence's.
    pub(crate) fn split(&self, state: Slice) -> (Slice, Slice) {
        (state.head(self.conv_bytes()), state.part(self.conv_bytes(), self.state_bytes()))
    }
}

/// A Gated DeltaNet layer's mixer.
#[derive(Debug)]
pub struct GatedDeltaNet {
    heads: DeltaHeads,
    input: FusedLinear, // (queries + keys + values, gates of the output, of the decay, of the update; hidden)
    conv: Vector,       // (channels, taps)
    decay: Vector,      // (value heads): −exp(A_log)
    dt_bias: Vector,    // (value heads)
    norm: Vector,       // (value width)
    output: Output,     // (hidden, value heads * value width)
}

impl GatedDeltaNet {
    /// Reads the shape of the family's recurrent layers.
    ///
    /// # Errors
    /// A missing key, or a shape that no kernel supports.
    pub fn heads(keys: Keys<'_>) -> Result<DeltaHeads, Error> {
        DeltaHeads::read(keys)
    }

    /// Loads `<prefix>.attn_{qkv,gate}.weight` and `<prefix>.ssm_*`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        heads: DeltaHeads,
    ) -> Result<Self, Error> {
        let name = |name: &str| format!("{prefix}.{name}");
        let size = |n: u32| n as usize;
        let [channels, width] = [heads.channels(), heads.value_width()].map(size);
        let value_heads = size(heads.value_heads);
        let input =
            ["attn_qkv", "attn_gate", "ssm_alpha", "ssm_beta"].map(|it| name(&format!("{it}.weight")));
        let rows = [channels, width, value_heads, value_heads];
        let input: Vec<(&str, usize)> = input.iter().map(String::as_str).zip(rows).collect();
        loader.reserve(Temp::DeltaIn, heads.columns());
        loader.reserve(Temp::DeltaQkv, heads.channels());
        loader.reserve(Temp::DeltaOut, heads.value_width());
        let taps = loader.tensor(&name("ssm_conv1d.weight"), &[channels, size(heads.conv)])?;
        Ok(Self {
            heads,
            input: loader.fused_linear(&input, config.hidden)?,
            conv: taps,
            decay: loader.vector(&name("ssm_a"), value_heads)?,
            dt_bias: loader.vector(&name("ssm_dt.bias"), value_heads)?,
            norm: loader.vector(&name("ssm_norm.weight"), size(heads.value))?,
            output: Output::load(loader, &name("ssm_out"), config.hidden, width)?,
        })
    }
}

impl Mixer for GatedDeltaNet {
    fn state(&self, _switches: &Switches) -> State {
        State::Recurrent { bytes: self.heads.conv_bytes() + self.heads.state_bytes() }
    }

    fn forward(&self, ops: &mut Ops<'_>, x: Activation, layer: usize) {
        let heads = &self.heads;
        ops.enter_module("delta_in");
        let projected = ops.project_each(&self.input, x, Temp::DeltaIn);
        ops.enter_module("delta_conv");
        let qkv = ops.delta_conv((layer, heads), projected, &self.conv);
        ops.enter_module("delta_rule");
        let out = ops.delta_rule((layer, heads), [qkv, projected], [&self.decay, &self.dt_bias]);
        ops.enter_module("delta_norm");
        ops.delta_norm(heads, [out, projected], &self.norm);
        ops.enter_module("o");
        self.output.forward(ops, out);
    }
}
