//! The operations families are written in. Here, and nowhere else, it is decided which kernel serves an operation
//! and whether a component is replaced by the identity.

use crate::cache::KvCache;
use crate::matrix::{Matrix, Vector};
use crate::scratch::{Scratch, Spot};
use crate::{Config, Model};
use ridgeline_compute::{Caps, Recording, Region, Slice};
use ridgeline_kernels::{self as kernels, ProductChoice};

/// An activation: `width` values per token, somewhere in the scratch buffers.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    pub(crate) slice: Slice,
    /// Values per token.
    pub width: u32,
}

/// How attention is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AttentionPath {
    /// One kernel with online softmax.
    #[default]
    Fused,
    /// Scores, softmax and values in three kernels.
    Unfused,
}

/// What experiments vary about a forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Switches {
    /// How attention is computed.
    pub attention: AttentionPath,
}

/// Records operations on `tokens` tokens that start at `position`.
#[derive(Debug)]
pub struct Ops<'a> {
    pub(crate) recording: &'a mut Recording,
    pub(crate) config: &'a Config,
    pub(crate) scratch: &'a Scratch,
    pub(crate) cache: &'a KvCache,
    pub(crate) table: Slice,
    pub(crate) caps: &'a Caps,
    pub(crate) switches: Switches,
    pub(crate) tokens: u32,
    pub(crate) position: u32,
    pub(crate) layer: Option<u32>,
}

impl Ops<'_> {
    /// Launches that follow belong to this part of the current layer.
    pub fn part(&mut self, part: &'static str) {
        self.recording.enter(Region { layer: self.layer, part });
    }

    fn act(&self, spot: Spot, width: u32) -> Act {
        Act { slice: self.scratch.buffer(spot).all(), width }
    }

    /// The residual stream.
    #[must_use]
    pub fn residual(&self) -> Act {
        self.act(Spot::Residual, narrow(self.config.hidden))
    }

    /// Embeds the uploaded tokens into the residual stream.
    pub(crate) fn embed(&mut self, table: &Matrix) -> Act {
        let y = self.residual();
        for piece in &table.pieces {
            let params = kernels::embed::Params {
                n_tokens: self.tokens,
                n_rows: piece.rows,
                n_cols: table.cols,
                stride: table.stride,
                row0: piece.row0,
                scale: self.config.embed_scale,
            };
            let tokens = self.scratch.buffer(Spot::Tokens).all();
            let args = kernels::embed::Args { table: piece.buffer.all(), tokens, y: y.slice };
            self.recording.run(kernels::embed::Embed { format: table.format, lanes: 64 }, params, args);
        }
        y
    }

    /// RMSNorm of every token.
    pub fn rms_norm(&mut self, x: Act, gain: &Vector) -> Act {
        self.part("norm");
        self.rms_norm_rows(x, gain, 0, self.tokens)
    }

    /// RMSNorm of `rows` tokens from `row0` on.
    pub(crate) fn rms_norm_rows(&mut self, x: Act, gain: &Vector, row0: u32, rows: u32) -> Act {
        let y = self.act(Spot::Normed, x.width);
        let params =
            kernels::rms_norm::Params { n_rows: rows, n_cols: x.width, row0, eps: self.config.norm_eps };
        let args = kernels::rms_norm::Args { x: x.slice, gain: gain.slice(), y: y.slice };
        self.recording.run(kernels::norm_for(self.caps), params, args);
        y
    }

    /// x·Wᵀ for every token, into `to`.
    pub fn project(&mut self, matrix: &Matrix, x: Act, to: Spot) -> Act {
        self.project_rows(matrix, x, to, self.tokens)
    }

    /// x·Wᵀ for the first `rows` rows of x, into `to`.
    pub(crate) fn project_rows(&mut self, matrix: &Matrix, x: Act, to: Spot, rows: u32) -> Act {
        let y = self.act(to, matrix.rows);
        let (n_cols, stride, ld) = (matrix.cols, matrix.stride, matrix.rows);
        for piece in &matrix.pieces {
            let (n_rows, row0, n_vecs) = (piece.rows, piece.row0, rows);
            let weights = piece.buffer.all();
            match kernels::product_for(matrix.format, rows, self.caps) {
                ProductChoice::Vec(kernel) => {
                    let params = kernels::mat_vec::Params { n_rows, n_cols, n_vecs, stride, ld, row0 };
                    let args = kernels::mat_vec::Args { weights, x: x.slice, y: y.slice };
                    self.recording.run(kernel, params, args);
                }
                ProductChoice::Mul(kernel) => {
                    let params = kernels::mat_mul::Params { n_rows, n_cols, n_vecs, stride, ld, row0 };
                    let args = kernels::mat_mul::Args { weights, x: x.slice, y: y.slice };
                    self.recording.run(kernel, params, args);
                }
            }
        }
        y
    }

    /// Rotates queries or keys in place by their positions.
    pub fn rope(&mut self, x: Act) -> Act {
        let head_dim = narrow(self.config.head_dim);
        let params = kernels::rope::Params {
            n_tokens: self.tokens,
            n_heads: x.width / head_dim,
            head_dim,
            rotary: narrow(self.config.rope.rotary),
            position: self.position,
        };
        let kernel = kernels::rope::Rope { pairing: self.config.rope.pairing, lanes: 64 };
        self.recording.run(kernel, params, kernels::rope::Args { x: x.slice, table: self.table });
        x
    }

    /// Stores the tokens' keys and values in the cache of `layer`.
    pub fn remember(&mut self, layer: usize, k: Act, v: Act) {
        let params = kernels::kv_append::Params {
            n_tokens: self.tokens,
            n_heads: narrow(self.config.kv_heads),
            head_dim: narrow(self.config.head_dim),
            capacity: narrow(self.cache.capacity),
            position: self.position,
            stride: self.cache.stride,
        };
        let kernel = kernels::kv_append::KvAppend { format: self.cache.format, lanes: 64 };
        for (x, cache) in [(k, self.cache.keys(layer)), (v, self.cache.values(layer))] {
            self.recording.run(kernel, params, kernels::kv_append::Args { x: x.slice, cache: cache.all() });
        }
    }

    /// Causal attention of the queries over the cache of `layer`.
    pub fn attend(&mut self, layer: usize, q: Act) -> Act {
        let out = self.act(Spot::Mixed, q.width);
        let (keys, values) = (self.cache.keys(layer).all(), self.cache.values(layer).all());
        match self.switches.attention {
            AttentionPath::Fused => self.attend_fused(q, [keys, values], out),
            AttentionPath::Unfused => self.attend_unfused(q, [keys, values], out),
        }
        out
    }

    fn attend_fused(&mut self, q: Act, [keys, values]: [Slice; 2], out: Act) {
        let params = kernels::attention::Params {
            n_tokens: self.tokens,
            n_heads: narrow(self.config.heads),
            capacity: narrow(self.cache.capacity),
            position: self.position,
            stride: self.cache.stride,
            scale: self.attention_scale(),
        };
        let (head, group) = (narrow(self.config.head_dim), narrow(self.config.group()));
        let kernel = kernels::attention_for(self.cache.format, head, group, self.tokens, self.caps);
        self.recording.run(
            kernel,
            params,
            kernels::attention::Args { q: q.slice, keys, values, out: out.slice },
        );
    }

    fn attend_unfused(&mut self, q: Act, [keys, values]: [Slice; 2], out: Act) {
        let (n_tokens, n_heads, position) = (self.tokens, narrow(self.config.heads), self.position);
        let (head_dim, group) = (narrow(self.config.head_dim), narrow(self.config.group()));
        let (capacity, stride) = (narrow(self.cache.capacity), self.cache.stride);
        let (cache, lanes) = (self.cache.format, 64);
        let scores = self.scratch.buffer(Spot::Scores).all();
        let scale = self.attention_scale();
        let params = kernels::attn_scores::Params {
            n_tokens,
            n_heads,
            head_dim,
            group,
            capacity,
            position,
            stride,
            scale,
        };
        let args = kernels::attn_scores::Args { q: q.slice, keys, scores };
        self.recording.run(kernels::attn_scores::AttnScores { cache, lanes }, params, args);
        let params =
            kernels::attn_softmax::Params { n_rows: n_tokens * n_heads, n_cols: position + n_tokens };
        let reduce = kernels::Reduce::all(self.caps)[0];
        let kernel = kernels::attn_softmax::AttnSoftmax { reduce, lanes };
        self.recording.run(kernel, params, kernels::attn_softmax::Args { scores });
        let params =
            kernels::attn_values::Params { n_tokens, n_heads, head_dim, group, capacity, position, stride };
        let args = kernels::attn_values::Args { weights: scores, values, out: out.slice };
        self.recording.run(kernels::attn_values::AttnValues { cache, lanes }, params, args);
    }

    #[expect(clippy::cast_possible_truncation, reason = "the kernels take f32")]
    fn attention_scale(&self) -> f32 {
        (1.0 / (self.config.head_dim as f64).sqrt()) as f32
    }

    /// SwiGLU of the two halves of the feed-forward block.
    pub fn swi_glu(&mut self, gate: Act, up: Act) -> Act {
        let out = self.act(Spot::Inner, gate.width);
        let args = kernels::swi_glu::Args { gate: gate.slice, up: up.slice, out: out.slice };
        let params = kernels::swi_glu::Params { n: self.tokens * gate.width };
        self.recording.run(kernels::swi_glu::SwiGlu { lanes: 64 }, params, args);
        out
    }

    /// x += delta.
    pub fn add(&mut self, x: Act, delta: Act) -> Act {
        let params = kernels::add::Params { n: self.tokens * x.width };
        let args = kernels::add::Args { x: x.slice, delta: delta.slice };
        self.recording.run(kernels::add::Add { lanes: 64 }, params, args);
        x
    }

    /// Final norm and head for `rows` tokens from `row0` on: logits (rows, vocab).
    pub(crate) fn head(&mut self, model: &Model, row0: u32, rows: u32) -> Act {
        let normed = self.rms_norm_rows(self.residual(), &model.norm, row0, rows);
        self.project_rows(model.head.as_ref().unwrap_or(&model.embed), normed, Spot::Logits, rows)
    }

    /// Greedy choice of each of `rows` rows of logits.
    pub(crate) fn argmax(&mut self, logits: Act, rows: u32) -> Slice {
        let picks = self.scratch.buffer(Spot::Picks).slice(0, 4 * u64::from(rows));
        let params = kernels::argmax::Params { n_rows: rows, n_cols: logits.width };
        let lanes = self.caps.max_invocations.min(256);
        self.recording.run(
            kernels::argmax::Argmax { lanes },
            params,
            kernels::argmax::Args { x: logits.slice, picks },
        );
        picks
    }
}

/// Dimensions were checked when the configuration was read.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("a checked dimension fits 32 bits")
}
