//! Variations of the forward pass for experiments.
//!
//! Int8 activations and cooperative matrices round their operands, which changes logits. Ablation makes logits
//! meaningless. The other switches change only the order of sums.

use crate::{Set, named};
use serde::{Deserialize, Serialize};

named! {
    /// How attention is computed.
    #[derive(Default)]
    "an attention path" AttentionPath {
        /// One kernel with online softmax.
        #[default]
        Fused = "fused",
        /// Scores, softmax and weighted values as three kernels.
        Unfused = "unfused",
    }
}

named! {
    /// How multi-head latent attention is computed. Both forms give the same logits at different costs.
    #[derive(Default)]
    "a form of MLA" MlaForm {
        /// Every head has keys and values in the cache.
        #[default]
        Expanded = "expanded",
        /// All heads share one latent row per token in the cache, with projections absorbed into queries and outputs.
        Absorbed = "absorbed",
    }
}

named! {
    /// Fusions: launches that can be merged.
    "a fusion" Fusion {
        /// One launch for queries, keys and values.
        Qkv = "qkv",
        /// Bias, QK norm, RoPE and the store to the KV cache in one launch.
        RopeAppend = "rope-append",
        /// The residual add as an epilogue of the output and down projections.
        Residual = "residual",
        /// Gate and up projections with a SwiGLU epilogue.
        GateUp = "gate-up",
    }
}

named! {
    /// Parts of the forward pass, for ablation and for sums of launch times.
    "a part" Part {
        /// The embedding lookup.
        Embed = "embed",
        /// Every RMSNorm: of both blocks, of queries and keys (QK norm), and before the head.
        Norm = "norm",
        /// The Q, K, V and output projections, with bias and residual add.
        Projection = "projection",
        /// Rotary position embedding.
        Rope = "rope",
        /// The store of keys and values to the KV cache.
        KvWrite = "kv-write",
        /// Scores, softmax and weighted values.
        Attention = "attention",
        /// Gate, up and down projections, with activation and residual add. Of a mixture of experts, its router too.
        Mlp = "mlp",
        /// The projection to logits, without the choice of the next token.
        Head = "head",
    }
}

impl Part {
    /// The part that a launch of `module` belongs to ([`Region::module`](ridgeline_compute::Region::module)).
    ///
    /// `None` for `"sampling"`, the choice of the next token. The fused launch of bias, QK norm, RoPE and KV store
    /// counts as [`Self::Rope`].
    #[must_use]
    pub fn of(module: &str) -> Option<Self> {
        Some(match module {
            "embed" | "patch_embd" => Self::Embed,
            "attn_norm" | "qk_norm" | "attn_post_norm" | "ffn_norm" | "ffn_post_norm" | "output_norm"
            | "delta_norm" | "post_ln" => Self::Norm,
            "qkv" | "qkv_bias" | "delta_in" | "o" | "connector" => Self::Projection,
            "rope" => Self::Rope,
            "kv_write" => Self::KvWrite,
            "attention" | "attn_gate" | "delta_conv" | "delta_rule" => Self::Attention,
            "gate_up" | "up" | "down" | "router" | "experts_gate_up" | "experts_down" | "shared_gate" => {
                Self::Mlp
            }
            "lm_head" => Self::Head,
            _ => return None,
        })
    }
}

/// A set of fusions.
pub type Fusions = Set<Fusion>;

/// A set of parts.
pub type Parts = Set<Part>;

/// Variations of the forward pass. Serialized, only what differs from the default is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// How attention is computed.
    #[serde(skip_serializing_if = "AttentionPath::is_default")]
    pub attention: AttentionPath,
    /// How multi-head latent attention is computed. Other families are unaffected.
    #[serde(skip_serializing_if = "MlaForm::is_default")]
    pub mla: MlaForm,
    /// Length of a KV split (flash-decoding), in positions. `None`: chosen by position and device.
    ///
    /// Shorter splits occupy more cores. The splits must fit the buffer of partial results, so that long
    /// contexts use longer ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_split_len: Option<u32>,
    /// Fusions in use.
    #[serde(skip_serializing_if = "is_all")]
    pub fusions: Fusions,
    /// Parts to leave out (ablation), to measure their share in context.
    ///
    /// An ablated part is the identity and launches nothing: its result is its input. Where the shapes differ, the
    /// result is what its buffer held before. Logits then mean nothing.
    #[serde(skip_serializing_if = "is_none")]
    pub ablate: Parts,
    /// Use int8 dot products for small batches. Activations are quantized to int8, which changes logits
    /// slightly. Matrices whose quantization type has no int8 kernel are unaffected, and so are experts and the heads of latent attention.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub int8_dot: bool,
    /// Use cooperative matrices for large batches where the device has them. Both operands are rounded to 16
    /// bits; sums keep f32.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub cooperative: bool,
}

impl MlaForm {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl AttentionPath {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_none(parts: &Parts) -> bool {
    parts.is_empty()
}

fn is_all(fusions: &Fusions) -> bool {
    *fusions == Fusions::all()
}

impl Switches {
    /// Switches for the most exact logits: for comparisons, not for speed.
    #[must_use]
    pub fn exact() -> Self {
        Self { cooperative: false, ..Self::default() }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            attention: AttentionPath::default(),
            mla: MlaForm::default(),
            kv_split_len: None,
            fusions: Fusions::all(),
            ablate: Parts::NONE,
            int8_dot: false,
            cooperative: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AttentionPath, Fusion, Fusions, Part, Parts, Switches};

    #[test]
    fn names_are_read_back() {
        for &part in Part::ALL {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        let known = "embed, norm, projection, rope, kv-write, attention, mlp, head";
        let error = "ropes".parse::<Part>().expect_err("no part");
        assert_eq!(error.to_string(), format!("\"ropes\" is not a part; known are {known}"));
        assert!("".parse::<Fusion>().is_err() && "Fused".parse::<AttentionPath>().is_err());
    }

    #[test]
    fn sets_hold_what_was_added() {
        let set = Parts::NONE.with(Part::Head).with(Part::Norm).without(Part::Head);
        assert!(set.has(Part::Norm) && !set.has(Part::Head) && !set.is_empty());
        assert_eq!(Parts::all().iter().collect::<Vec<_>>(), Part::ALL);
        assert_eq!(
            format!("{:?}", Fusions::all().without(Fusion::Residual)),
            r#"{"qkv", "rope-append", "gate-up"}"#
        );
    }

    #[test]
    fn switches_are_read_from_their_json() {
        let ablate = Parts::NONE.with(Part::KvWrite).with(Part::Embed);
        let attention = AttentionPath::Unfused;
        let switches = Switches { ablate, attention, kv_split_len: Some(8), ..Switches::exact() };
        let json = serde_json::to_string(&switches).expect("JSON");
        assert!(json.contains(r#""ablate":["embed","kv-write"]"#) && json.contains(r#""unfused""#), "{json}");
        assert_eq!(serde_json::from_str::<Switches>(&json).expect("switches"), switches);
        assert_eq!(serde_json::from_str::<Switches>("{}").expect("switches"), Switches::default());
        for wrong in [r#"{"ablated":[]}"#, r#"{"ablate":["ropes"]}"#, r#"{"fusions":"qkv"}"#] {
            assert!(serde_json::from_str::<Switches>(wrong).is_err(), "{wrong}");
        }
    }
}
