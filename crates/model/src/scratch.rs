//! Activation buffers: small, separate, allocated once per session, so that independent launches never touch the
//! same written buffer and nothing is allocated per token.

use crate::session::MAX_AHEAD;
use crate::{Config, Error};
use ridgeline_compute::{Buffer, Executor, Role};
use ridgeline_kernels::argmax::MAX_ARGMAX_SPLITS;
use ridgeline_kernels::{MAX_KV_SPLITS, SMALL_BATCH, stride};
use ridgeline_quant::Format;

/// Where an operation leaves its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Temp {
    /// The residual stream, `(tokens, hidden)`.
    Residual,
    /// Normalised rows, `(tokens, hidden)`.
    Normed,
    /// Queries, keys and values as projected, `(tokens, heads + 2 · kv_heads, head_dim)`.
    Qkv,
    /// Rotated queries, `(tokens, heads, head_dim)`.
    Query,
    /// Parts of attention over spans of positions, `(splits, tokens, heads, head_dim + 4)`.
    AttnPartials,
    /// Attention's output, `(tokens, heads, head_dim)`.
    AttnOut,
    /// The output of a block before it is added to the residual stream, `(tokens, hidden)`.
    BlockOut,
    /// The gate of the feed-forward block and what it gates, `(tokens, 2, ffn)`.
    GateUp,
    /// Their product, `(tokens, ffn)`.
    FfnHidden,
    /// Scores of the unfused attention, `(tokens, heads, context)`.
    Scores,
    /// Logits, `(rows, vocab)`.
    Logits,
    /// Greedy choices, `(rows)`.
    GreedyTokens,
    /// Greedy choices of parts of the vocabulary, `(rows, parts)`.
    PartialArgmax,
    /// Activations as bytes, `(tokens, width)` of up to [`SMALL_BATCH`] tokens.
    Bytes,
    /// Token ids, `(tokens)`, or one and the choices that follow it, the last in its place.
    Tokens,
}

const ALL: [Temp; 15] = [
    Temp::Residual,
    Temp::Normed,
    Temp::Qkv,
    Temp::Query,
    Temp::AttnPartials,
    Temp::AttnOut,
    Temp::BlockOut,
    Temp::GateUp,
    Temp::FfnHidden,
    Temp::Scores,
    Temp::Logits,
    Temp::GreedyTokens,
    Temp::PartialArgmax,
    Temp::Bytes,
    Temp::Tokens,
];

/// One buffer per [`Temp`].
#[derive(Debug)]
pub(crate) struct Scratch {
    buffers: Vec<Buffer>,
    /// Tokens per recording.
    pub(crate) tokens: usize,
    /// Logit rows per recording.
    pub(crate) rows: usize,
}

/// Bytes of the buffers that any pass over `tokens` tokens with `rows` rows of logits touches at least: bandwidth is looked
/// up by it, and is the higher, the fewer there are.
pub(crate) fn min_activation_bytes(config: &Config, tokens: usize, rows: usize) -> u64 {
    let per_token = 2 * config.hidden + 2 * config.q_width() + 2 * config.kv_width() + config.ffn + 1;
    4 * (tokens * per_token + rows * (config.vocab + 1)) as u64
}

/// Logits are kept under this size, so that prompts ask for them in pieces.
const LOGITS_BYTES: usize = 32 << 20;

impl Scratch {
    /// Buffers for recordings of up to `tokens` tokens with at least `least` rows of logits, for `scores` positions
    /// of unfused attention (0: none) and, where they are wanted, for integer products.
    pub(crate) fn new(
        executor: &mut dyn Executor,
        config: &Config,
        [tokens, least]: [usize; 2],
        (scores, integer): (usize, bool),
    ) -> Result<Self, Error> {
        let rows = (LOGITS_BYTES / (4 * config.vocab)).max(least).clamp(1, tokens);
        let parts = MAX_KV_SPLITS as usize * tokens.min(SMALL_BATCH as usize);
        let floats = |temp| match temp {
            Temp::Residual | Temp::Normed | Temp::BlockOut => tokens * config.hidden,
            Temp::Qkv => tokens * (config.q_width() + 2 * config.kv_width()),
            Temp::Query | Temp::AttnOut => tokens * config.q_width(),
            Temp::AttnPartials => parts * config.heads * (config.head_dim + 4),
            Temp::GateUp => tokens * 2 * config.ffn,
            Temp::FfnHidden => tokens * config.ffn,
            Temp::Scores => (tokens * config.heads * scores).max(1),
            Temp::Logits => rows * config.vocab,
            Temp::GreedyTokens => rows,
            Temp::PartialArgmax => rows * MAX_ARGMAX_SPLITS as usize,
            Temp::Bytes if integer => {
                let widest = config.hidden.max(config.q_width()).max(config.ffn);
                4 * stride(Format::INT8_ACTIVATIONS, widest) as usize * tokens.min(SMALL_BATCH as usize)
            }
            Temp::Bytes => 1,
            Temp::Tokens => tokens.max(MAX_AHEAD),
        };
        let mut buffers = Vec::with_capacity(ALL.len());
        for (i, temp) in ALL.into_iter().enumerate() {
            debug_assert_eq!(temp as usize, i, "the buffers lie in the order of the enum");
            buffers.push(executor.alloc(4 * floats(temp) as u64, Role::Activation, &format!("{temp:?}"))?);
        }
        Ok(Self { buffers, tokens, rows })
    }

    pub(crate) fn buffer(&self, temp: Temp) -> &Buffer {
        &self.buffers[temp as usize]
    }
}
