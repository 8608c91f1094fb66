//! The gated feed-forward block, SwiGLU (Shazeer 2020).

use crate::{Act, Config, Error, Loader, Matrix, Ops, Spot};

/// Projections of one gated feed-forward block.
#[derive(Debug)]
pub struct GatedMlp {
    gate: Matrix, // (ffn, hidden)
    up: Matrix,   // (ffn, hidden)
    down: Matrix, // (hidden, ffn)
}

impl GatedMlp {
    /// Loads `<prefix>.ffn_{gate,up,down}.weight`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, prefix: &str, config: &Config) -> Result<Self, Error> {
        let mut matrix = |name, rows, cols| loader.matrix(&format!("{prefix}.{name}.weight"), rows, cols);
        Ok(Self {
            gate: matrix("ffn_gate", config.ffn, config.hidden)?,
            up: matrix("ffn_up", config.ffn, config.hidden)?,
            down: matrix("ffn_down", config.hidden, config.ffn)?,
        })
    }

    /// Records the block: x (tokens, hidden) to (tokens, hidden).
    pub fn forward(&self, ops: &mut Ops<'_>, x: Act) -> Act {
        ops.part("mlp");
        let gate = ops.project(&self.gate, x, Spot::Gate);
        let up = ops.project(&self.up, x, Spot::Up);
        let hidden = ops.swi_glu(gate, up);
        ops.project(&self.down, hidden, Spot::Branch)
    }
}
