//! The model families. Each is one file that composes a layer from blocks, and one entry in the list below.

use crate::layers::{Block, FeedForward, GatedMlp, NormKind};
use crate::{Config, Error, Keys, Loader, Ops, State, Switches};
use ridgeline_kernels::Activation;
use std::fmt::Debug;

/// The layers of a loaded model.
pub trait Decoder: Debug + Send + Sync {
    /// What each layer keeps of the tokens that it has seen.
    fn states(&self, switches: &Switches) -> Vec<State>;

    /// Records layer `index`. It reads and updates the residual stream.
    fn layer(&self, ops: &mut Ops<'_>, index: usize);
}

impl Decoder for Vec<Block> {
    fn states(&self, switches: &Switches) -> Vec<State> {
        self.iter().map(|block| block.state(switches)).collect()
    }

    fn layer(&self, ops: &mut Ops<'_>, index: usize) {
        self[index].forward(ops, index);
    }
}

/// A model family.
pub trait Architecture: Sync {
    /// Its `general.architecture`.
    fn name(&self) -> &'static str;

    /// The kind of its norms.
    fn norm(&self) -> NormKind {
        NormKind::Rms
    }

    /// Reads the hyperparameters of the whole model.
    ///
    /// # Errors
    /// A missing key or an invalid dimension.
    fn config(&self, keys: Keys<'_>) -> Result<Config, Error> {
        Config::read(keys, self.norm())
    }

    /// Loads the layers.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    fn load(&self, loader: &mut Loader<'_>, config: &Config) -> Result<Box<dyn Decoder>, Error>;
}

macro_rules! architectures {
    ($($module:ident::$family:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every family, in order of file name.
        pub const ALL: &[&dyn Architecture] = &[$(&$module::$family),*];
    };
}

/// Loads half of a layer, by its index and the prefix of its tensors.
type Load<'c, Half> = Box<dyn Fn(&mut Loader<'_>, usize, &str) -> Result<Box<Half>, Error> + 'c>;

/// A loader of gated feed-forward blocks with SiLU (SwiGLU), one per layer.
fn swiglu<'c>(keys: Keys<'_>, config: &'c Config) -> Result<Load<'c, dyn FeedForward>, Error> {
    let ffn = keys.width("feed_forward_length")?;
    Ok(Box::new(move |loader, _, prefix| {
        Ok(Box::new(GatedMlp::load(loader, prefix, config, (ffn, Activation::Silu))?))
    }))
}

architectures! {
    deepseek2::DeepSeek2,
    gemma3::Gemma3,
    gptneox::GptNeoX,
    gta::Gta,
    llama::Llama,
    plm::Plm,
    qwen2::Qwen2,
    qwen3::Qwen3,
    qwen35::Qwen35,
    qwen35moe::Qwen35Moe,
    qwen3moe::Qwen3Moe,
}

/// The family of a checkpoint.
///
/// # Errors
/// [`Error::Architecture`] names the supported families.
pub fn of(keys: Keys<'_>) -> Result<&'static dyn Architecture, Error> {
    let name = keys.architecture();
    ALL.iter().copied().find(|family| family.name() == name).ok_or_else(|| Error::Architecture {
        path: keys.checkpoint().path().to_owned(),
        name: name.to_owned(),
        supported: ALL.iter().map(|family| family.name()).collect::<Vec<_>>().join(", "),
    })
}
