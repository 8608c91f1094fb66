//! Blocks that families share. Each knows the names of its tensors and the order of its operations, but no
//! kernel.

mod attention;
mod block;
mod delta_net;
mod heads;
mod mixture;
mod mla;
mod mlp;
mod norm;
mod output;

use crate::{Activation, Ops, State, Switches};
pub use attention::Attention;
pub use block::{Block, Wiring};
pub use delta_net::{DeltaHeads, GatedDeltaNet};
pub use heads::Heads;
pub(crate) use heads::{MAX_HEADS, inverse_root};
pub use mixture::{Mixture, Routing};
pub use mla::{Mla, MlaShape};
pub use mlp::{GatedMlp, Mlp};
pub use norm::{Norm, NormKind};
pub use output::Output;
use std::fmt::Debug;

/// The half of a layer that mixes tokens: attention, or a recurrence.
pub trait Mixer: Debug + Send + Sync {
    /// What it keeps of the tokens that it has seen.
    fn state(&self, switches: &Switches) -> State;

    /// Records it as part of layer `layer`: adds its output for x (tokens, hidden) to the residual stream.
    fn forward(&self, ops: &mut Ops<'_>, x: Activation, layer: usize);
}

/// The half of a layer that treats each token alone: a dense block, or a mixture of experts.
pub trait FeedForward: Debug + Send + Sync {
    /// Records it: adds its output for x (tokens, hidden) to the residual stream.
    fn forward(&self, ops: &mut Ops<'_>, x: Activation);
}
