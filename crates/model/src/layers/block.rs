//! A pre-norm layer: both halves read a norm of the residual stream and add to it.

use super::{FeedForward, Mixer, Norm, NormKind};
use crate::{Config, Error, Loader, Ops, State, Switches, Temp};

/// One layer: a token mixer such as attention, then a feed-forward block.
#[derive(Debug)]
pub struct Block {
    mixer_norm: Norm, // (hidden)
    mixer: Box<dyn Mixer>,
    ffn_norm: Norm, // (hidden)
    ffn: Box<dyn FeedForward>,
    parallel: bool,
}

/// How the layers of a family are put together.
#[derive(Clone, Copy, Debug)]
pub struct Wiring {
    /// The kind of both norms.
    pub norm: NormKind,
    /// Prefix of the tensors of all layers.
    pub prefix: &'static str,
    /// Name of the norm before the mixer, without prefix.
    pub mixer_norm: &'static str,
    /// Name of the norm before the feed-forward block, without prefix.
    pub ffn_norm: &'static str,
    /// Whether both halves read the same residual stream (GPT-J), or the second reads the sum of the first.
    pub parallel: bool,
}

impl Wiring {
    /// The wiring of Llama (Touvron et al. 2023).
    pub const LLAMA: Self = Self {
        norm: NormKind::Rms,
        prefix: "blk",
        mixer_norm: "attn_norm",
        ffn_norm: "ffn_norm",
        parallel: false,
    };
}

impl Block {
    /// Loads every layer. `mixer` and `ffn` load the halves of a layer by its index and the prefix of its tensors.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load_all<'a>(
        loader: &mut Loader<'a>,
        config: &Config,
        wiring: Wiring,
        mixer: impl Fn(&mut Loader<'a>, usize, &str) -> Result<Box<dyn Mixer>, Error>,
        ffn: impl Fn(&mut Loader<'a>, usize, &str) -> Result<Box<dyn FeedForward>, Error>,
    ) -> Result<Vec<Self>, Error> {
        let Wiring { norm, parallel, .. } = wiring;
        if parallel {
            loader.reserve(Temp::FfnNormed, crate::config::dim32(config.hidden));
        }
        let mut load = |layer| {
            let prefix = format!("{}.{layer}", wiring.prefix);
            let mixer_norm = format!("{prefix}.{}", wiring.mixer_norm);
            let ffn_norm = format!("{prefix}.{}", wiring.ffn_norm);
            Ok(Self {
                mixer_norm: Norm::load(loader, norm, &mixer_norm, config.hidden)?,
                mixer: mixer(loader, layer, &prefix)?,
                ffn_norm: Norm::load(loader, norm, &ffn_norm, config.hidden)?,
                ffn: ffn(loader, layer, &prefix)?,
                parallel,
            })
        };
        (0..config.layers).map(&mut load).collect()
    }

    /// What the block keeps of the tokens that it has seen.
    pub(crate) fn state(&self, switches: &Switches) -> State {
        self.mixer.state(switches)
    }

    /// Records the block with the state of layer `layer`. It reads and updates the residual stream.
    pub fn forward(&self, ops: &mut Ops<'_>, layer: usize) {
        ops.enter_module("attn_norm");
        let x = ops.norm(ops.residual(), &self.mixer_norm, Temp::Normed);
        if self.parallel {
            // The second norm reads the residual stream before the first half adds to it.
            ops.enter_module("ffn_norm");
            let y = ops.norm(ops.residual(), &self.ffn_norm, Temp::FfnNormed);
            self.mixer.forward(ops, x, layer);
            self.ffn.forward(ops, y);
            return;
        }
        self.mixer.forward(ops, x, layer);
        ops.enter_module("ffn_norm");
        let x = ops.norm(ops.residual(), &self.ffn_norm, Temp::Normed);
        self.ffn.forward(ops, x);
    }
}
