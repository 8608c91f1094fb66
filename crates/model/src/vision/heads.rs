//! Attention heads of an image encoder. Kernels take widths that are multiples of eight, so zeros pad narrower heads. They
//! add nothing to a score, and the outputs that they give meet columns of zeros.

use crate::keys::Keys;
use crate::layers::{Attention, Heads, MAX_HEADS, Output, inverse_root};
use crate::{Config, Error, FusedLinear, Loader};

/// Heads are padded to multiples of this width.
const UNIT: u32 = 8;

/// The heads as kernels see them, and the width of one in the file.
pub(super) fn read(keys: Keys<'_>, hidden: u32) -> Result<(Heads, u32), Error> {
    let query = keys.size("attention.head_count")?;
    let holds = (1..=MAX_HEADS).contains(&query) && hidden.is_multiple_of(query.max(1));
    keys.check("head_count", query, holds, "it must divide the width, and be between 1 and 4096")?;
    let width = hidden / query;
    keys.check("width of a head", width, width <= 512, "it must be at most 512")?;
    let (key, scale) = (width.next_multiple_of(UNIT), inverse_root(width));
    let heads = Heads { query, kv: query, key, value: key, scale, window: None, rope: None, latent: false };
    Ok((heads, width))
}

/// Loads `<prefix>.attn_{q,k,v,out}.{weight,bias}` with heads that are `width` wide in the file.
pub(super) fn attention(
    loader: &mut Loader<'_>,
    prefix: &str,
    config: &Config,
    (heads, width): (Heads, u32),
) -> Result<Attention, Error> {
    if heads.key == width {
        return Attention::load_biased(loader, prefix, config, heads);
    }
    let [n, padded, width] = [heads.query, heads.key, width].map(|it| it as usize);
    let (hidden, total) = (config.hidden, n * padded);
    // The row or column of the file.
    let stored = |i: usize| (i % padded < width).then_some(i / padded * width + i % padded);
    let name = |of: &str, what: &str| format!("{prefix}.attn_{of}.{what}");
    let mut parts = Vec::new();
    for (of, first) in ["q", "k", "v"].into_iter().zip([0, heads.query_width(), 2 * heads.query_width()]) {
        let tensor = name(of, "weight");
        let at = |row, column| Some(stored(row)? * hidden + column);
        let part = loader.gathered_matrix((&tensor, &[hidden, hidden]), [total, hidden], at)?;
        parts.push((first, part));
    }
    let biases = ["q", "k", "v"].map(|of| name(of, "bias"));
    let bias = loader.gathered((&biases.each_ref().map(String::as_str), &[hidden]), total, stored)?;
    let qkv = FusedLinear { merged: parts.clone(), parts, rows: heads.qkv_width() };
    let at = |row, column| Some(row * hidden + stored(column)?);
    let output = loader.gathered_matrix((&name("out", "weight"), &[hidden, hidden]), [hidden, total], at)?;
    let output = Output::new(loader, output).with_bias(loader, &format!("{prefix}.attn_out"))?;
    Ok(Attention::new(loader, heads, (qkv, bias), output))
}
