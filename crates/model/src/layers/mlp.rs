//! Feed-forward blocks: gated (Shazeer 2020), and with a single hidden projection.

use super::{FeedForward, Output};
use crate::{Activation, Config, Error, FusedLinear, Loader, Ops, Temp, Vector, WeightMatrix};
use ridgeline_kernels::Activation as Function;

/// A gated feed-forward block: down · (f(gate · x) ⊙ (up · x)).
#[derive(Debug)]
pub struct GatedMlp {
    gate_up: FusedLinear, // (2 * ffn, hidden)
    function: Function,
    down: Output, // (hidden, ffn)
}

impl GatedMlp {
    /// Loads `<prefix>.ffn_{gate,up,down}.weight` with a hidden width of `ffn`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        shape: (u32, Function),
    ) -> Result<Self, Error> {
        Self::load_named(loader, (prefix, ""), config, shape)
    }

    /// Loads `<prefix>.ffn_{gate,up,down}<suffix>.weight`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn load_named(
        loader: &mut Loader<'_>,
        (prefix, suffix): (&str, &str),
        config: &Config,
        (ffn, function): (u32, Function),
    ) -> Result<Self, Error> {
        let [gate, up] = ["gate", "up"].map(|name| format!("{prefix}.ffn_{name}{suffix}.weight"));
        loader.reserve(Temp::GateUp, 2 * ffn);
        loader.reserve(Temp::FfnHidden, ffn);
        let rows = ffn as usize;
        Ok(Self {
            gate_up: loader.fused_linear(&[(&*gate, rows), (&*up, rows)], config.hidden)?,
            function,
            down: Output::load(loader, &format!("{prefix}.ffn_down{suffix}"), config.hidden, rows)?,
        })
    }

    /// Loads the post-norm `<prefix>.post_ffw_norm.weight` too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_post_norm(self, loader: &mut Loader<'_>, prefix: &str) -> Result<Self, Error> {
        let name = format!("{prefix}.post_ffw_norm");
        Ok(Self { down: self.down.with_post_norm(loader, &name, "ffn_post_norm")?, ..self })
    }
}

impl FeedForward for GatedMlp {
    fn forward(&self, ops: &mut Ops<'_>, x: Activation) {
        self.forward_gated(ops, x, None);
    }
}

impl GatedMlp {
    /// Records the block with its output multiplied by σ(gate · x), one number for each token, if there is a gate.
    ///
    /// The hidden activations are multiplied, because the down projection is linear.
    pub(crate) fn forward_gated(&self, ops: &mut Ops<'_>, x: Activation, gate: Option<&WeightMatrix>) {
        ops.enter_module("gate_up");
        let hidden = ops.glu(&self.gate_up, self.function, x);
        if let Some(gate) = gate {
            ops.enter_module("shared_gate");
            let gate = ops.project(gate, None, x, Temp::SharedGate);
            ops.sigmoid_gate_tokens(hidden, gate);
        }
        ops.enter_module("down");
        self.down.forward(ops, hidden);
    }
}

/// A feed-forward block without a gate: down · f(up · x).
#[derive(Debug)]
pub struct Mlp {
    up: WeightMatrix,     // (ffn, hidden)
    bias: Option<Vector>, // (ffn)
    function: Function,
    down: Output, // (hidden, ffn)
}

impl Mlp {
    /// Loads `<prefix>.ffn_{up,down}.weight` with a hidden width of `ffn`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        (ffn, function): (u32, Function),
    ) -> Result<Self, Error> {
        loader.reserve(Temp::FfnHidden, ffn);
        Ok(Self {
            up: loader.matrix(&format!("{prefix}.ffn_up.weight"), ffn as usize, config.hidden)?,
            bias: None,
            function,
            down: Output::load(loader, &format!("{prefix}.ffn_down"), config.hidden, ffn as usize)?,
        })
    }

    /// Loads `<prefix>.ffn_{up,down}.bias` too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_bias(self, loader: &mut Loader<'_>, prefix: &str) -> Result<Self, Error> {
        let bias = loader.vector(&format!("{prefix}.ffn_up.bias"), self.up.rows as usize)?;
        let down = self.down.with_bias(loader, &format!("{prefix}.ffn_down"))?;
        Ok(Self { bias: Some(bias), down, ..self })
    }
}

impl FeedForward for Mlp {
    fn forward(&self, ops: &mut Ops<'_>, x: Activation) {
        ops.enter_module("up");
        let hidden = ops.project(&self.up, None, x, Temp::FfnHidden);
        ops.activate(hidden, self.bias.as_ref(), self.function);
        ops.enter_module("down");
        self.down.forward(ops, hidden);
    }
}
