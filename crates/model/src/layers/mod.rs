//! Blocks that families share. Each knows the names of its tensors and the order of its operations, but no
//! kernel.

mod attention;
mod block;
mod mlp;

pub use attention::Attention;
pub use block::Block;
pub use mlp::GatedMlp;
