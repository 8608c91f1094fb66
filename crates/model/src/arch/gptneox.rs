//! GPT-NeoX (Black et al. 2022), such as Pythia: LayerNorm and biases everywhere, partial rotation, GELU without a gate.
//! Both halves of a layer read the same residual stream, unless the file says otherwise.

use super::{Architecture, Decoder};
use crate::layers::{Attention, Block, Heads, Mlp, NormKind, Wiring};
use crate::{Config, Error, Loader};
use ridgeline_kernels::Activation;

pub(super) struct GptNeoX;

impl Architecture for GptNeoX {
    fn name(&self) -> &'static str {
        "gptneox"
    }

    fn norm(&self) -> NormKind {
        NormKind::Layer
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let keys = loader.keys();
        keys.no_windows()?;
        let heads = Heads::read(loader)?;
        let ffn = keys.width("feed_forward_length")?;
        let parallel = keys.flag_or("use_parallel_residual", true)?;
        let wiring = Wiring { norm: self.norm(), parallel, ..Wiring::LLAMA };
        let attention = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            let attention = Attention::load_fused(loader, prefix, config, heads)?;
            Ok(Box::new(attention.with_fused_bias(loader, prefix)?) as _)
        };
        let mlp = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            let mlp = Mlp::load(loader, prefix, config, (ffn, Activation::Gelu))?;
            Ok(Box::new(mlp.with_bias(loader, prefix)?) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, wiring, attention, mlp)?))
    }
}
