//! A mixture of experts (Shazeer et al. 2017; Fedus et al. 2021). Each token passes through the gated blocks that its router
//! chooses. Some families add a shared one (Dai et al. 2024, "DeepSeekMoE").

use super::{FeedForward, GatedMlp};
use crate::config::dim32;
use crate::{Activation, Config, Error, FusedLinear, Keys, Loader, Ops, Rows, Temp, WeightMatrix};
use ridgeline_kernels::Activation as Function;
use ridgeline_kernels::top_k::MAX_K;

/// How a router chooses experts and weights them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    /// Experts of a layer.
    pub experts: u32,
    /// Experts of a token.
    pub top_k: u32,
    /// Hidden width of an expert.
    pub ffn: u32,
    /// Whether the weights of the chosen experts are divided by their sum.
    pub renormalise: bool,
    /// Multiplier of the weights.
    pub scale: f32,
}

impl Routing {
    /// Reads the keys `expert_*`, with `renormalise` where the file does not say.
    ///
    /// # Errors
    /// A missing key, or a shape that no kernel supports.
    pub fn read(keys: Keys<'_>, renormalise: bool) -> Result<Self, Error> {
        let [experts, top_k] = [keys.size("expert_count")?, keys.size("expert_used_count")?];
        let most = experts.min(MAX_K);
        let rule = "it must be at least 1, and at most 64 and expert_count";
        keys.check("expert_used_count", top_k, (1..=most).contains(&top_k), rule)?;
        Ok(Self {
            experts,
            top_k,
            ffn: keys.width("expert_feed_forward_length")?,
            renormalise: keys.flag_or("expert_weights_norm", renormalise)?,
            scale: keys.multiplier_or("expert_weights_scale", 1.0)?,
        })
    }
}

/// The experts of a layer, their router and the shared expert.
#[derive(Debug)]
pub struct Mixture {
    routing: Routing,
    router: WeightMatrix, // (experts, hidden)
    gate_up: FusedLinear, // (2 * experts * ffn, hidden): the gates of all experts, then their ups
    down: WeightMatrix,   // (experts * hidden, ffn)
    shared: Option<Shared>,
}

/// The expert of every token.
#[derive(Debug)]
struct Shared {
    mlp: GatedMlp,
    gate: Option<WeightMatrix>, // (1, hidden)
}

impl Mixture {
    /// Loads `<prefix>.ffn_gate_inp.weight` and `<prefix>.ffn_{gate,up,down}_exps.weight`.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        routing: Routing,
    ) -> Result<Self, Error> {
        let Routing { experts, top_k, ffn, .. } = routing;
        loader.reserve(Temp::RouterLogits, experts);
        // A part for each layer, so that all can be read back after a pass. Parts begin at multiples of 64 values.
        loader.reserve(Temp::Experts, dim32(config.layers) * (top_k + 64));
        loader.reserve(Temp::ExpertStarts, dim32(config.layers) * (experts + 1).next_multiple_of(64));
        loader.reserve(Temp::ExpertOrder, top_k);
        loader.reserve(Temp::ExpertWeights, top_k);
        loader.reserve(Temp::GateUp, 2 * top_k * ffn);
        loader.reserve(Temp::FfnHidden, top_k * ffn);
        loader.reserve(Temp::ExpertOut, top_k * dim32(config.hidden));
        let [router, gate, up, down] = ["gate_inp", "gate_exps", "up_exps", "down_exps"]
            .map(|name| format!("{prefix}.ffn_{name}.weight"));
        let stacked = |name, rows| Rows::experts(name, experts as usize, rows);
        let gate_up = [stacked(&gate, ffn as usize), stacked(&up, ffn as usize)];
        Ok(Self {
            routing,
            router: loader.matrix(&router, experts as usize, config.hidden)?,
            gate_up: loader.fused_rows(&gate_up, config.hidden)?,
            down: loader.rows(stacked(&down, config.hidden), ffn as usize)?,
            shared: None,
        })
    }

    /// Loads the shared expert `<prefix>.ffn_{gate,up,down}_shexp.weight` of hidden width `ffn` too. A `gated` one has a gate,
    /// `<prefix>.ffn_gate_inp_shexp.weight`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_shared(
        self,
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &Config,
        (ffn, gated): (u32, bool),
    ) -> Result<Self, Error> {
        let mlp = GatedMlp::load_named(loader, (prefix, "_shexp"), config, (ffn, Function::Silu))?;
        loader.reserve(Temp::SharedGate, 1);
        let gate = format!("{prefix}.ffn_gate_inp_shexp.weight");
        let gate = if gated { Some(loader.matrix(&gate, 1, config.hidden)?) } else { None };
        Ok(Self { shared: Some(Shared { mlp, gate }), ..self })
    }
}

impl FeedForward for Mixture {
    fn forward(&self, ops: &mut Ops<'_>, x: Activation) {
        ops.enter_module("router");
        let logits = ops.project(&self.router, None, x, Temp::RouterLogits);
        let chosen = ops.top_k(logits, &self.routing);
        ops.enter_module("experts_gate_up");
        let hidden = ops.experts_glu(&self.gate_up, x, (chosen, &self.routing));
        ops.enter_module("experts_down");
        ops.experts_add_residual(&self.down, hidden, (chosen, &self.routing));
        if let Some(Shared { mlp, gate }) = &self.shared {
            mlp.forward_gated(ops, x, gate.as_ref());
        }
    }
}
