//! Activation buffers, allocated once per session. Each temporary has its own buffer, so that independent launches
//! never share a written one.

use crate::{Config, Error};
use ridgeline_compute::{Buffer, Executor, Role};
use ridgeline_kernels::argmax::MAX_ARGMAX_SPLITS;
use ridgeline_kernels::{MAX_KV_SPLITS, SMALL_BATCH, stride};
use ridgeline_quant::Format;

/// Most tokens that are decoded on the device between two read-backs. [`Temp::Tokens`] has room for as many.
pub(crate) const MAX_AHEAD: usize = 16;

/// Logits are kept below this size. Prompts that need more rows are split.
const MAX_LOGITS_BYTES: usize = 32 << 20;

macro_rules! temps {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A temporary: the buffer that holds an operation's result.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Temp {
            $($(#[$doc])* $name,)*
        }

        impl Temp {
            /// Every temporary, each at the index `temp as usize`.
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

temps! {
    /// The residual stream, `(tokens, hidden)`.
    Residual,
    /// Output of a norm, `(tokens, hidden)`.
    Normed,
    /// Queries, keys and values before RoPE, `(tokens, heads + 2 · kv_heads, head_dim)`.
    Qkv,
    /// Queries after RoPE, `(tokens, heads, head_dim)`.
    Query,
    /// Partial results of attention per KV split, `(splits, tokens, heads, head_dim + 4)`.
    AttnPartials,
    /// Output of attention, `(tokens, heads, head_dim)`.
    AttnOut,
    /// Output of a block before the residual add, `(tokens, hidden)`.
    BlockOut,
    /// Gate and up projections of the feed-forward block, `(tokens, 2, ffn)`.
    GateUp,
    /// SwiGLU of gate and up, `(tokens, ffn)`.
    FfnHidden,
    /// Scores of the unfused attention, `(tokens, heads, context)`.
    Scores,
    /// Logits, `(rows, vocab)`.
    Logits,
    /// Greedy choices, `(rows)`.
    GreedyTokens,
    /// Greedy choices within each split of the vocabulary, `(rows, splits)`.
    PartialArgmax,
    /// Activations quantized to int8, `(tokens, width)` of up to [`SMALL_BATCH`] tokens.
    Bytes,
    /// Token ids, `(tokens)`. While decoding on the device: a ring of up to `MAX_AHEAD` choices.
    Tokens,
}

/// One buffer per [`Temp`].
#[derive(Debug)]
pub(crate) struct Scratch {
    buffers: Vec<Buffer>,
    /// Tokens per recording.
    pub(crate) tokens: usize,
    /// Logit rows per recording.
    pub(crate) rows: usize,
}

/// Least bytes of the buffers that a forward pass over `tokens` tokens with `rows` rows of logits touches. Achievable
/// bandwidth is looked up by this size: it rises as the size falls.
pub(crate) fn min_activation_bytes(config: &Config, tokens: usize, rows: usize) -> u64 {
    let per_token = 2 * config.hidden + 2 * config.q_width() + 2 * config.kv_width() + config.ffn + 1;
    4 * (tokens * per_token + rows * (config.vocab + 1)) as u64
}

impl Scratch {
    /// Buffers for recordings of up to `tokens` tokens with at least `least` rows of logits.
    ///
    /// `scores` is the context of unfused attention, 0 without it. `int8` reserves room for int8 activations.
    pub(crate) fn new(
        executor: &mut dyn Executor,
        config: &Config,
        [tokens, least]: [usize; 2],
        (scores, int8): (usize, bool),
    ) -> Result<Self, Error> {
        let rows = (MAX_LOGITS_BYTES / (4 * config.vocab)).max(least).clamp(1, tokens);
        let split_rows = MAX_KV_SPLITS as usize * tokens.min(SMALL_BATCH as usize);
        let floats = |temp| match temp {
            Temp::Residual | Temp::Normed | Temp::BlockOut => tokens * config.hidden,
            Temp::Qkv => tokens * (config.q_width() + 2 * config.kv_width()),
            Temp::Query | Temp::AttnOut => tokens * config.q_width(),
            Temp::AttnPartials => split_rows * config.heads * (config.head_dim + 4),
            Temp::GateUp => tokens * 2 * config.ffn,
            Temp::FfnHidden => tokens * config.ffn,
            Temp::Scores => (tokens * config.heads * scores).max(1),
            Temp::Logits => rows * config.vocab,
            Temp::GreedyTokens => rows,
            Temp::PartialArgmax => rows * MAX_ARGMAX_SPLITS as usize,
            Temp::Bytes if int8 => {
                let widest = config.hidden.max(config.q_width()).max(config.ffn);
                4 * stride(Format::INT8_ACTIVATIONS, widest) as usize * tokens.min(SMALL_BATCH as usize)
            }
            Temp::Bytes => 1,
            Temp::Tokens => tokens.max(MAX_AHEAD),
        };
        let mut buffers = Vec::with_capacity(Temp::ALL.len());
        for &temp in Temp::ALL {
            buffers.push(executor.alloc(4 * floats(temp) as u64, Role::Activation, &format!("{temp:?}"))?);
        }
        Ok(Self { buffers, tokens, rows })
    }

    pub(crate) fn buffer(&self, temp: Temp) -> &Buffer {
        &self.buffers[temp as usize]
    }
}
