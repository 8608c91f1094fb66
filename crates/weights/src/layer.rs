//! The layer in a tensor's canonical name.

/// Layer and rest of a name such as `blk.3.attn_q.weight`.
pub(crate) fn layer_of(name: &str) -> Option<(usize, &str)> {
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}
