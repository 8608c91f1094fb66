//! Transformer forward pass with KV cache, over any executor.
