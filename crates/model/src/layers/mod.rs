//! Blocks that families share: each knows its tensors' names and the order of its operations, and no kernel.

mod attention;
mod block;
mod mlp;

pub use attention::Attention;
pub use block::Block;
pub use mlp::GatedMlp;
