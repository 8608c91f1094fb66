//! The gated feed-forward block with SwiGLU (Shazeer 2020).

use crate::config::dim32;
use crate::{Activation, Config, Error, FusedLinear, Loader, Ops, Temp, WeightMatrix};

/// The projections of a gated feed-forward block.
#[derive(Debug)]
pub struct GatedMlp {
    gate_up: FusedLinear, // (2 * ffn, hidden)
    down: WeightMatrix,   // (hidden, ffn)
}

impl GatedMlp {
    /// Loads `<prefix>.ffn_{gate,up,down}.weight` with a hidden width of `ffn`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &Config, ffn: u32) -> Result<Self, Error> {
        let [gate, up, down] = ["gate", "up", "down"].map(|name| format!("{prefix}.ffn_{name}.weight"));
        loader.reserve(Temp::GateUp, 2 * ffn);
        loader.reserve(Temp::FfnHidden, ffn);
        loader.reserve(Temp::BlockOut, dim32(config.hidden));
        let rows = ffn as usize;
        Ok(Self {
            gate_up: loader.fused_linear(&[(&*gate, rows), (&*up, rows)], config.hidden)?,
            down: loader.matrix(&down, config.hidden, rows)?,
        })
    }

    /// Records the block: adds its output for x (tokens, hidden) to the residual stream.
    pub fn forward(&self, ops: &mut Ops<'_>, x: Activation) {
        ops.enter_module("gate_up");
        let hidden = ops.swiglu(&self.gate_up, x);
        ops.enter_module("down");
        ops.linear_add_residual(&self.down, hidden);
    }
}
