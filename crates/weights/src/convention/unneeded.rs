//! Tensors that the family does not define. Most are left-overs that no layer needs; some would change the result.

/// Parts of a layer's tensor that are buffers, such as tables of positions, or belong to an 8-bit KV cache.
const BUFFERS: &[&str] =
    &["inv_freq", "k_scale", "v_scale", "position_ids", "masked_bias", "rot_embd", "attn_rot_embd"];

/// Last parts of parameters that are not called `weight` or `bias`.
const PARAMETERS: &[&str] = &[
    "a_log",
    "alpha",
    "beta",
    "biases",
    "d",
    "dt_bias",
    "g_idx",
    "gain",
    "gamma",
    "lambda",
    "lora_a",
    "lora_b",
    "qweight",
    "qzeros",
    "scale",
    "scalar",
    "scales",
    "sink",
    "sinks",
    "weight_packed",
    "zeros",
];

/// What is to be done about a tensor that the family does not define.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unneeded {
    /// A buffer that every loader leaves out.
    Buffer,
    /// No layer of the family needs it: it is left out and reported.
    LeftOver,
    /// A layer could need it, so that the result would be wrong without it.
    Parameter,
}

/// Judges a tensor by its name in the file and whether it has numbers that are not integers.
pub(crate) fn unneeded(name: &str, real: bool) -> Unneeded {
    let lower = name.to_ascii_lowercase();
    let last = lower.rsplit('.').next().unwrap_or_default();
    let in_model = [
        "model.",
        "language_model.",
        "gpt_neox.",
        "embed_out.",
        "lm_head.",
        "blk.",
        "token_embd",
        "output",
        "rope_",
    ]
    .iter()
    .any(|it| lower.starts_with(it));
    if BUFFERS.iter().any(|it| last == *it || lower.contains(&format!(".{it}."))) {
        return Unneeded::Buffer;
    }
    let parameter = ["weight", "bias"].contains(&last)
        || last.ends_with("_bias")
        || PARAMETERS.iter().any(|it| last == *it || last.ends_with(&format!("_{it}")));
    // Integers are indices and masks, except in packed weights.
    let packed = ["qweight", "qzeros", "weight_packed", "g_idx"].contains(&last);
    if in_model && parameter && (real || packed) { Unneeded::Parameter } else { Unneeded::LeftOver }
}

/// A note about tensors that were left out; `None` if there are none.
pub(crate) fn left_out(names: &[&str]) -> Option<String> {
    let (first, rest) = names.split_first()?;
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    Some(format!("tensor `{first}`{more}: no layer needs it, and it is left out"))
}

#[cfg(test)]
mod tests {
    use super::{Unneeded::*, unneeded};

    #[test]
    fn tensors_are_judged_by_their_place_and_kind() {
        for (name, real, judged) in [
            ("model.layers.0.self_attn.rotary_emb.inv_freq", true, Buffer),
            ("model.layers.0.self_attn.k_scale", true, Buffer),
            ("blk.0.attn_rot_embd.weight", true, Buffer),
            ("model.embeddings.position_ids", false, Buffer),
            ("model.layers.0.self_attn.rotary_table", true, LeftOver),
            ("model.layers.0.attn.mask.bias", false, LeftOver),
            ("v_head.weight", true, LeftOver),
            ("optimizer.step", false, LeftOver),
            ("model.layers.0.self_attn.q_norm.weight", true, Parameter),
            ("model.layers.0.mlp.up_proj.bias", true, Parameter),
            ("model.layers.0.self_attn.sinks", true, Parameter),
            ("model.layers.0.mlp.up_proj.weight_scale", true, Parameter),
            ("model.layers.0.mlp.up_proj.qweight", false, Parameter),
            ("lm_head.bias", true, Parameter),
            ("blk.2.ffn_gate_inp.weight", true, Parameter),
            ("rope_factors_long.weight", true, Parameter),
            ("model.layers.3.mlp.gate.e_score_correction_bias", true, Parameter),
            ("gpt_neox.layers.0.attention.query.weight", true, Parameter),
            ("gpt_neox.layers.0.attention.bias", false, LeftOver),
            ("gpt_neox.layers.0.attention.masked_bias", true, Buffer),
        ] {
            assert_eq!(unneeded(name, real), judged, "{name}");
        }
    }
}
