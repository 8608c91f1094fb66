//! Activation buffers, allocated once per session. Each temporary has its own buffer, so that independent launches
//! never share a written one. The layers that write one reserve its width.

use crate::Error;
use crate::reserved::Reserved;
use crate::session::token_table::ALIGNED;
use ridgeline_compute::{Buffer, Executor, Role};
use ridgeline_kernels::{MAX_KV_SPLITS, SMALL_BATCH};

/// Most forward passes that decode on the device between two read-backs. [`Temp::Tokens`] has room for their tokens.
pub(crate) const MAX_AHEAD: usize = 16;

/// Logits are kept below this size. Prompts that need more rows are split.
const MAX_LOGITS_BYTES: usize = 32 << 20;

/// Distance in [`Temp::Tokens`] between the ids of two forward passes of `sequences` sequences, one token each.
pub(crate) const fn pass_stride(sequences: usize) -> usize {
    if sequences == 1 { 1 } else { sequences.next_multiple_of(ALIGNED) }
}

/// Ids that the forward passes of one submission have room for.
pub(crate) fn submission_tokens(batch: usize, sequences: usize) -> usize {
    batch.max(MAX_AHEAD * pass_stride(sequences))
}

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
    /// Output of the second norm of a layer whose halves are parallel, `(tokens, hidden)`.
    FfnNormed,
    /// Queries, keys and values before RoPE, `(tokens, width of queries + keys + values)`.
    Qkv,
    /// Queries after RoPE, `(tokens, heads, key width)`.
    Query,
    /// Partial results of attention per KV split, `(splits, tokens, heads, value width + 4)`.
    AttnPartials,
    /// Output of attention, `(tokens, heads, value width)`.
    AttnOut,
    /// Output of a block before the residual add, `(tokens, hidden)`.
    BlockOut,
    /// Gate and up projections of a gated feed-forward block, `(tokens, 2, ffn)`.
    GateUp,
    /// Hidden activations of the feed-forward block, `(tokens, ffn)`.
    FfnHidden,
    /// Latent rows of MLA after their norm, `(tokens, latent)`, or `(tokens, latent + rotated)` if absorbed.
    Latent,
    /// Compressed queries of MLA after their norm, `(tokens, rank)`.
    QueryLatent,
    /// Keys of MLA without their rotated part, `(tokens, heads, key width without position)`.
    KeyPart,
    /// Keys of MLA, `(tokens, heads, key width)`.
    MlaKeys,
    /// Values of MLA, or the outputs of its heads if absorbed, `(tokens, heads, value width)`.
    MlaValues,
    /// Outputs of attention with latent values after their decoder, `(tokens, query heads, decoded width)`.
    DecodedValues,
    /// Queries of absorbed MLA, `(tokens, heads, latent + rotated)`.
    AbsorbedQuery,
    /// Logits of the router, `(tokens, experts)`.
    RouterLogits,
    /// Experts of each token, `(layers, tokens, top_k)`.
    Experts,
    /// Pairs of a token and an expert in order of their experts, `(tokens, top_k)`.
    ExpertOrder,
    /// Where the pairs of each expert begin in that order, `(layers, experts + 1)`.
    ExpertStarts,
    /// Weights of the experts of each token, `(tokens, top_k)`.
    ExpertWeights,
    /// Outputs of the experts of each token, `(tokens, top_k, hidden)`.
    ExpertOut,
    /// Gate of the shared expert, `(tokens, 1)`.
    SharedGate,
    /// Input projections of a Gated DeltaNet layer, `(tokens, queries + keys + values + gates)`.
    DeltaIn,
    /// Its queries, keys and values after the convolution.
    DeltaQkv,
    /// Output of its recurrence, `(tokens, value heads, value width)`.
    DeltaOut,
    /// Patches of an image, `(patches, channels * side * side)`.
    Patches,
    /// Embeddings of the tokens of an image, `(tokens, hidden width of the text model)`.
    ImageTokens,
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
    /// Token ids, `(tokens)`. While decoding on the device: a ring of the choices of up to `MAX_AHEAD` passes.
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

impl Scratch {
    /// Buffers for recordings of up to `tokens` tokens with at least `least` rows of logits, and for decoding `sequences`
    /// sequences together.
    ///
    /// `scores` is the context of unfused attention, 0 without it. `int8` reserves room for int8 activations.
    pub(crate) fn new(
        executor: &mut dyn Executor,
        reserved: &Reserved,
        [tokens, least, sequences]: [usize; 3],
        (scores, int8): (usize, bool),
    ) -> Result<Self, Error> {
        let vocab = reserved.width(Temp::Logits).max(1);
        let rows = (MAX_LOGITS_BYTES / (4 * vocab)).max(least).clamp(1, tokens);
        let small = tokens.min(SMALL_BATCH as usize);
        let count = |temp| match temp {
            Temp::AttnPartials => MAX_KV_SPLITS as usize * small,
            Temp::Scores => tokens * scores,
            Temp::Logits | Temp::GreedyTokens | Temp::PartialArgmax => rows,
            Temp::Bytes if int8 => small,
            Temp::Bytes => 0,
            Temp::Tokens => submission_tokens(tokens, sequences),
            Temp::ExpertStarts => 1,
            _ => tokens,
        };
        let mut buffers = Vec::with_capacity(Temp::ALL.len());
        for &temp in Temp::ALL {
            let floats = (count(temp) * reserved.width(temp)).max(1);
            buffers.push(executor.alloc(4 * floats as u64, Role::Activation, &format!("{temp:?}"))?);
        }
        Ok(Self { buffers, tokens, rows })
    }

    pub(crate) fn buffer(&self, temp: Temp) -> &Buffer {
        &self.buffers[temp as usize]
    }
}
