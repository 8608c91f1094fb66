//! Quantization mixes (`llama_ftype`): a quantization type for each tensor of a model, under llama.cpp's names.
//!
//! A mix such as `Q4_K_M` is a base type, and other types for the tensors that lose most from few bits. Those are the
//! output head, the V and output projections of attention, and the down projections. The rules are those of
//! `llama_tensor_get_type_impl` and `tensor_type_fallback` without importance matrices, as of ggml 0.25.3:
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-quant.cpp>.

use std::sync::LazyLock;
use std::{fmt, str::FromStr};

use crate::Format;

/// The role of a matrix in a model, as far as mixes distinguish roles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TensorCategory {
    /// The output head, or the token embedding if it is tied to the head.
    Head,
    /// The V projection of attention, or a fused QKV projection.
    Value,
    /// The K projection of attention.
    Key,
    /// The output projection of attention.
    AttentionOutput,
    /// The down projection of a feed-forward network.
    Down,
    /// Everything else, including an untied token embedding.
    Other,
}

/// Properties of a model that the rules of mixes depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelTraits {
    /// Layers.
    pub n_layers: usize,
    /// Layers with a tensor of [`TensorCategory::Value`].
    pub n_values: usize,
    /// Experts per layer; 0 or 1 for a dense model.
    pub n_experts: usize,
    /// Query heads per KV head.
    pub heads_per_kv: usize,
}

/// A quantization mix: see the module.
#[derive(Debug)]
pub struct Mix {
    /// llama.cpp's name.
    pub name: &'static str,
    /// `general.file_type` (`llama_ftype`).
    pub gguf_file_type: u32,
    /// The type of every matrix without a rule.
    pub base: Format,
    value: Rule,
    down: Rule,
    attention_output: Rule,
    /// Whether a model of eight experts stores attention's output projection as `Q5_K`.
    moe_attn_output_q5k: bool,
}

/// The type of the `i`-th of `n` tensors of a role.
#[derive(Clone, Copy, Debug)]
enum Rule {
    Base,
    Always(Format),
    /// The first `.0` tensors, then all others.
    First(usize, Format, Format),
    /// The first `n / .0`, then all others.
    FirstPart(usize, Format, Format),
    /// llama.cpp's `use_more_bits`: the first and last eighth, and every third between them.
    UseMoreBits(Format),
    /// With at least four query heads per KV head, otherwise.
    Shared(Format, Format),
}

impl Rule {
    fn format(self, base: Format, i: usize, n: usize, heads_per_kv: usize) -> Format {
        match self {
            Self::Base => base,
            Self::Always(it) => it,
            Self::First(count, it, rest) => {
                if i < count {
                    it
                } else {
                    rest
                }
            }
            Self::FirstPart(part, it, rest) => {
                if i < n / part {
                    it
                } else {
                    rest
                }
            }
            Self::UseMoreBits(it) => {
                if use_more_bits(i, n) {
                    it
                } else {
                    base
                }
            }
            Self::Shared(it, rest) => {
                if heads_per_kv >= 4 {
                    it
                } else {
                    rest
                }
            }
        }
    }
}

fn use_more_bits(i: usize, n: usize) -> bool {
    i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2
}

const fn plain(base: Format) -> Mix {
    let spec = base.spec();
    Mix {
        name: spec.name,
        gguf_file_type: spec.gguf_file_type,
        base,
        value: Rule::Base,
        down: Rule::Base,
        attention_output: Rule::Base,
        moe_attn_output_q5k: false,
    }
}

const fn named(name: &'static str, gguf_file_type: u32, base: Format) -> Mix {
    Mix { name, gguf_file_type, ..plain(base) }
}

use Format::{BF16, F16, F32, Iq4Nl, Iq4Xs, Mxfp4, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};

const MIXES: &[Mix] = &[
    plain(F32),
    plain(F16),
    plain(BF16),
    plain(Q4_0),
    plain(Q4_1),
    plain(Q5_0),
    plain(Q5_1),
    plain(Q8_0),
    plain(Mxfp4),
    plain(Q6K),
    Mix {
        value: Rule::Shared(Q4K, Q3K),
        down: Rule::Always(Q3K),
        attention_output: Rule::Always(Q3K),
        moe_attn_output_q5k: true,
        ..named("Q2_K", 10, Q2K)
    },
    Mix { moe_attn_output_q5k: true, ..named("Q3_K_S", 11, Q3K) },
    Mix {
        value: Rule::First(2, Q5K, Q4K),
        down: Rule::FirstPart(16, Q5K, Q4K),
        attention_output: Rule::Always(Q4K),
        moe_attn_output_q5k: true,
        ..named("Q3_K_M", 12, Q3K)
    },
    Mix {
        value: Rule::Always(Q5K),
        down: Rule::Always(Q5K),
        attention_output: Rule::Always(Q5K),
        ..named("Q3_K_L", 13, Q3K)
    },
    Mix {
        value: Rule::First(4, Q5K, Q4K),
        down: Rule::FirstPart(8, Q5K, Q4K),
        moe_attn_output_q5k: true,
        ..named("Q4_K_S", 14, Q4K)
    },
    Mix {
        value: Rule::UseMoreBits(Q6K),
        down: Rule::UseMoreBits(Q6K),
        moe_attn_output_q5k: true,
        ..named("Q4_K_M", 15, Q4K)
    },
    named("Q5_K_S", 16, Q5K),
    Mix { value: Rule::UseMoreBits(Q6K), down: Rule::UseMoreBits(Q6K), ..named("Q5_K_M", 17, Q5K) },
    Mix {
        value: Rule::Shared(Q5K, Iq4Nl),
        down: Rule::FirstPart(8, Q5K, Iq4Nl),
        moe_attn_output_q5k: true,
        ..named("IQ4_NL", 25, Iq4Nl)
    },
    Mix {
        value: Rule::Shared(Q5K, Iq4Xs),
        down: Rule::FirstPart(8, Q5K, Iq4Xs),
        moe_attn_output_q5k: true,
        ..named("IQ4_XS", 30, Iq4Xs)
    },
];

/// llama.cpp's aliases.
const ALIASES: &[(&str, &str)] = &[("Q3_K", "Q3_K_M"), ("Q4_K", "Q4_K_M"), ("Q5_K", "Q5_K_M")];

impl Mix {
    /// Every mix.
    pub const ALL: &'static [Self] = MIXES;

    /// Names of the mixes that users choose from, from most to fewest bits: those of a published sweep, and `Q4_0`.
    pub const COMMON: [&'static str; 8] =
        ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K"];

    /// The mix of a name or alias, in upper or lower case.
    pub fn from_name(name: &str) -> Option<&'static Self> {
        let is = |it: &str| it.eq_ignore_ascii_case(name);
        let name = ALIASES.iter().find(|it| is(it.0)).map_or(name, |it| it.1);
        Self::ALL.iter().find(|it| it.name.eq_ignore_ascii_case(name))
    }

    /// Every pair of different types that some mix gives to K and V of a dense model.
    pub fn key_value_type_pairs() -> &'static [[Format; 2]] {
        static PAIRS: LazyLock<Vec<[Format; 2]>> = LazyLock::new(|| {
            let mut pairs = Vec::new();
            for (heads_per_kv, (n_layers, n_cols)) in
                [1, 4].into_iter().flat_map(|heads| [(32, 256), (80, 256), (32, 32)].map(|it| (heads, it)))
            {
                let model = ModelTraits { n_layers, n_values: n_layers, n_experts: 0, heads_per_kv };
                for (mix, i) in Mix::ALL.iter().flat_map(|mix| (0..n_layers).map(move |i| (mix, i))) {
                    let pair = [TensorCategory::Key, TensorCategory::Value]
                        .map(|role| mix.format_for(role, i, n_cols, &model));
                    if pair[0] != pair[1] && !pairs.contains(&pair) {
                        pairs.push(pair);
                    }
                }
            }
            pairs
        });
        &PAIRS
    }

    /// The type of the `i`-th matrix of a role, whose rows have `n_cols` weights. Matrices count in layer order; if a
    /// layer has several experts, `i` is the layer.
    pub fn format_for(&self, role: TensorCategory, i: usize, n_cols: usize, model: &ModelTraits) -> Format {
        self.wanted(role, i, n_cols, model).for_rows_of(n_cols)
    }

    fn wanted(&self, role: TensorCategory, i: usize, n_cols: usize, model: &ModelTraits) -> Format {
        let base = self.base;
        if base.spec().block_len == 1 {
            return base;
        }
        let eight_experts = model.n_experts == 8;
        match role {
            TensorCategory::Head if base == Q8_0 || !n_cols.is_multiple_of(base.spec().block_len) => Q8_0,
            TensorCategory::Head => Q6K,
            TensorCategory::Value | TensorCategory::Key if eight_experts => Q8_0,
            TensorCategory::Value => {
                let format = self.value.format(base, i, model.n_values, model.heads_per_kv);
                // llama.cpp's rule for 70B models: V is an eighth of Q, so more bits cost little.
                let deep = model.n_layers == 80 && model.heads_per_kv > 1;
                if deep && [Q3K, Q4K].contains(&format) { Q5K } else { format }
            }
            TensorCategory::AttentionOutput if eight_experts => {
                if self.moe_attn_output_q5k {
                    Q5K
                } else {
                    base
                }
            }
            TensorCategory::AttentionOutput => {
                self.attention_output.format(base, i, model.n_layers, model.heads_per_kv)
            }
            TensorCategory::Down => self.down.format(base, i, model.n_layers, model.heads_per_kv),
            TensorCategory::Key | TensorCategory::Other => base,
        }
    }

    /// The base type, or its fallback if rows of `n_cols` weights are not whole blocks: llama.cpp's `--pure`.
    pub fn pure_format(&self, n_cols: usize) -> Format {
        self.base.for_rows_of(n_cols)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// The error of parsing a [`Mix`]: no mix has this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownMix(String);

impl fmt::Display for UnknownMix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown quantization mix `{}`; known are", self.0)?;
        Mix::ALL.iter().try_for_each(|it| write!(f, " {it}"))
    }
}

impl std::error::Error for UnknownMix {}

impl FromStr for &'static Mix {
    type Err = UnknownMix;

    fn from_str(name: &str) -> Result<Self, UnknownMix> {
        Mix::from_name(name).ok_or_else(|| UnknownMix(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: ModelTraits = ModelTraits { n_layers: 32, n_values: 32, n_experts: 0, heads_per_kv: 4 };

    fn mix(name: &str) -> &'static Mix {
        Mix::from_name(name).unwrap()
    }

    #[test]
    fn common_mixes_exist() {
        for name in Mix::COMMON {
            assert!(Mix::from_name(name).is_some_and(|it| it.name == name), "{name}");
        }
    }

    #[test]
    fn names_are_known_in_any_case_and_unique() {
        for it in Mix::ALL {
            assert_eq!(Mix::from_name(&it.name.to_lowercase()).unwrap().gguf_file_type, it.gguf_file_type);
            assert_eq!(Mix::ALL.iter().filter(|other| other.gguf_file_type == it.gguf_file_type).count(), 1);
        }
        assert_eq!(mix("q4_k").name, "Q4_K_M");
        let error = "Q9_X".parse::<&Mix>().unwrap_err().to_string();
        assert!(error.contains("Q9_X") && error.contains("Q5_K_S"), "{error}");
    }

    #[test]
    fn more_bits_go_to_both_ends_and_every_third() {
        let layers: Vec<_> = (0..32).filter(|&i| use_more_bits(i, 32)).collect();
        assert_eq!(layers, [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
    }

    #[test]
    fn value_and_down_rules() {
        let format = |name: &str, role, i| mix(name).format_for(role, i, 4096, &MODEL);
        assert_eq!(format("Q2_K", TensorCategory::Value, 0), Q4K);
        assert_eq!(format("Q2_K", TensorCategory::Down, 9), Q3K);
        assert_eq!(format("Q3_K_M", TensorCategory::Value, 1), Q5K);
        assert_eq!(format("Q3_K_M", TensorCategory::Value, 2), Q4K);
        assert_eq!(format("Q3_K_M", TensorCategory::Down, 1), Q5K);
        assert_eq!(format("Q3_K_M", TensorCategory::Down, 2), Q4K);
        assert_eq!(format("Q4_K_S", TensorCategory::Down, 3), Q5K);
        assert_eq!(format("Q4_K_S", TensorCategory::Down, 4), Q4K);
        assert_eq!(format("Q4_K_M", TensorCategory::Head, 0), Q6K);
        assert_eq!(format("Q8_0", TensorCategory::Head, 0), Q8_0);
        assert_eq!(format("F16", TensorCategory::Head, 0), F16);
        let few = ModelTraits { heads_per_kv: 2, ..MODEL };
        assert_eq!(mix("Q2_K").format_for(TensorCategory::Value, 0, 4096, &few), Q3K);
        let deep = ModelTraits { n_layers: 80, n_values: 80, heads_per_kv: 8, ..MODEL };
        assert_eq!(mix("Q4_K_S").format_for(TensorCategory::Value, 40, 8192, &deep), Q5K);
        let experts = ModelTraits { n_experts: 8, ..MODEL };
        assert_eq!(mix("Q4_K_M").format_for(TensorCategory::Key, 5, 4096, &experts), Q8_0);
        assert_eq!(mix("Q5_K_M").format_for(TensorCategory::AttentionOutput, 5, 4096, &experts), Q5K);
    }

    #[test]
    fn formats_beside_those_of_values() {
        let pairs = Mix::key_value_type_pairs();
        assert!(pairs.contains(&[Q4K, Q6K]) && pairs.contains(&[Q2K, Q3K]) && pairs.contains(&[Q2K, Q4K]));
        // Where rows do not fill blocks.
        assert!(pairs.contains(&[Q5_0, Q8_0]), "{pairs:?}");
        assert!(pairs.iter().all(|[key, value]| key != value));
        assert!(!pairs.iter().any(|[key, _]| [F16, Q8_0, Q6K].contains(key)));
    }

    #[test]
    fn rows_that_do_not_fill_blocks_fall_back() {
        let format = |name: &str, n_cols| mix(name).format_for(TensorCategory::Other, 0, n_cols, &MODEL);
        let names = ["Q2_K", "Q3_K_S", "Q4_K_S", "Q5_K_S", "Q6_K", "IQ4_XS", "Q8_0"];
        assert_eq!(names.map(|it| format(it, 288)), [Q4_0, Q4_0, Q5_0, Q5_1, Q8_0, Iq4Nl, Q8_0]);
        assert_eq!(names.map(|it| format(it, 40)), [F16; 7]);
        assert_eq!(mix("Q4_K_M").format_for(TensorCategory::Head, 0, 288, &MODEL), Q8_0);
        assert_eq!(mix("Q4_K_M").pure_format(288), Q5_0);
        // The same for one type, such as that of SmolLM2 135M, whose rows have 576 weights.
        assert_eq!([Q4K, Q6K, Mxfp4].map(|it| it.for_rows_of(576)), [Q5_0, Q8_0, Mxfp4]);
        assert_eq!([Q4K, Q8_0].map(|it| it.for_rows_of(70)), [F16; 2]);
    }
}
