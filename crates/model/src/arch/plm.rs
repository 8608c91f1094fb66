//! PLM (Deng et al. 2025): MLA without compressed queries, and a feed-forward block without a gate, with `ReLU`².

use super::{Architecture, Decoder};
use crate::layers::{Block, Mla, MlaShape, Mlp, Wiring};
use crate::{Config, Error, Loader};
use ridgeline_kernels::Activation;

pub(super) struct Plm;

impl Architecture for Plm {
    fn name(&self) -> &'static str {
        "plm"
    }

    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error> {
        let shape = MlaShape::read(loader)?;
        let ffn = loader.keys().width("feed_forward_length")?;
        let attention = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            Ok(Box::new(Mla::load(loader, prefix, config, shape)?) as _)
        };
        let mlp = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<_, Error> {
            Ok(Box::new(Mlp::load(loader, prefix, config, (ffn, Activation::Relu2))?) as _)
        };
        Ok(Box::new(Block::load_all(loader, config, Wiring::LLAMA, attention, mlp)?))
    }
}
