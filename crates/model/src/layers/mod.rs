//! Blocks that families share. Each knows the names of its tensors and the order of its operations, but no
//! kernel.

mod attention;
mod block;
mod heads;
mod mlp;

pub use attention::Attention;
pub use block::Block;
pub use heads::Heads;
pub use mlp::GatedMlp;
