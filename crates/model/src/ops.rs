//! The operations families are written in. Here, and nowhere else, it is decided which kernel serves an operation
//! and whether a component is replaced by the identity.

use crate::cache::KvCache;
use crate::matrix::{Matrix, Stack, Vector};
use crate::scratch::{Scratch, Spot};
use crate::{AttentionPath, Config, Fusion, Model, Switches};
use ridgeline_compute::{Caps, Recording, Region, Slice};
use ridgeline_kernels::rope_append::{Before, RopeAppend};
use ridgeline_kernels::{self as kernels, Epilogue, MAX_SPLITS, SMALL_BATCH, Tuning};
use ridgeline_speculative::Sampler;
use std::iter::once;

/// An activation: `width` values per token, somewhere in the scratch buffers.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    pub(crate) slice: Slice,
    /// Values per token.
    pub width: u32,
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
    pub(crate) tuning: &'a Tuning,
    pub(crate) switches: Switches,
    /// Where the ids of the tokens begin in their buffer.
    pub(crate) first: u32,
    pub(crate) tokens: u32,
    pub(crate) position: u32,
    pub(crate) layer: Option<u32>,
}

impl Ops<'_> {
    /// Launches that follow belong to this part of the current layer.
    pub fn part(&mut self, part: &'static str) {
        self.recording.enter(Region { layer: self.layer, part });
    }

    pub(crate) fn act(&self, spot: Spot, width: u32) -> Act {
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
                token0: self.first,
                scale: self.config.embed_scale,
            };
            let tokens = self.scratch.buffer(Spot::Tokens).all();
            let args = kernels::embed::Args { table: piece.slice, tokens, y: y.slice };
            self.recording.run(
                kernels::embed::Embed { format: table.format, layout: table.layout, lanes: 64 },
                params,
                args,
            );
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

    /// Queries, keys and values of every token, side by side.
    pub fn project_stack(&mut self, qkv: &Stack, x: Act) -> Act {
        let to = self.act(Spot::Projected, qkv.rows);
        let merged = self.switches.fusions.has(Fusion::Qkv);
        let x = self.factor(x, self.tokens, qkv.formats());
        self.side_by_side(if merged { &qkv.merged } else { &qkv.parts }, x, to);
        to
    }

    /// Adds x·Wᵀ to the residual stream.
    pub fn project_onto_residual(&mut self, matrix: &Matrix, x: Act) {
        let (residual, x) = (self.residual(), self.factor(x, self.tokens, once(matrix.format)));
        if self.switches.fusions.has(Fusion::Residual) {
            self.product(matrix, x, (residual, 0, Epilogue::Add));
            return;
        }
        let branch = self.act(Spot::Branch, matrix.rows);
        self.product(matrix, x, (branch, 0, Epilogue::Store));
        self.add(residual, branch.slice, self.tokens * residual.width);
    }

    /// Adds `period` values to x, again and again.
    fn add(&mut self, x: Act, delta: Slice, period: u32) {
        let params = kernels::add::Params { n: self.tokens * x.width, period };
        let args = kernels::add::Args { x: x.slice, delta };
        self.recording.run(kernels::add::Add { lanes: 64 }, params, args);
    }

    /// SwiGLU of the two halves of the feed-forward block.
    pub fn gated(&mut self, gate_up: &Stack, x: Act) -> Act {
        let width = gate_up.rows / 2;
        let (out, x) = (self.act(Spot::Inner, width), self.factor(x, self.tokens, gate_up.formats()));
        let fused = self.switches.fusions.has(Fusion::GateUp);
        if let [(_, both)] = &*gate_up.merged
            && fused
            && both.pieces.len() == 1
            && self.can_gate(both, x)
        {
            self.product(both, x, (out, 0, Epilogue::Gate));
            return out;
        }
        let both = self.act(Spot::Both, gate_up.rows);
        self.side_by_side(if fused { &gate_up.merged } else { &gate_up.parts }, x, both);
        let args = kernels::swi_glu::Args { both: both.slice, out: out.slice };
        let params = kernels::swi_glu::Params { n_rows: self.tokens, n_cols: width };
        self.recording.run(kernels::swi_glu::SwiGlu { lanes: 64 }, params, args);
        out
    }

    /// Adds the bias \[projections\] to queries, keys and values; normalises each head of queries and keys with the gains
    /// \[2, head\]; rotates them by their positions; stores keys and values in the cache of `layer`. Gives the queries.
    pub fn turn_and_remember(&mut self, layer: usize, qkv: Act, [bias, gains]: [Option<&Vector>; 2]) -> Act {
        let fits = RopeAppend::takes(narrow(self.config.head_dim), narrow(self.config.rope.rotary));
        if !fits || !self.switches.fusions.has(Fusion::RopeAppend) {
            self.turn_and_remember_apart(layer, qkv, [bias, gains]);
            return qkv;
        }
        let (heads, kv_heads) = (narrow(self.config.heads), narrow(self.config.kv_heads));
        let [keys, values] = [self.cache.keys(layer).all(), self.cache.values(layer).all()];
        let out = self.act(Spot::Query, narrow(self.config.q_width()));
        let [key_stride, value_stride] = self.cache.strides;
        let params = kernels::rope_append::Params {
            n_tokens: self.tokens,
            n_heads: heads,
            kv_heads,
            head_dim: narrow(self.config.head_dim),
            rotary: narrow(self.config.rope.rotary),
            position: self.position,
            capacity: narrow(self.cache.capacity),
            ld: qkv.width,
            key_stride,
            value_stride,
            eps: self.config.norm_eps,
        };
        let with = Before { bias: bias.is_some(), norm: gains.is_some() };
        let kernel = RopeAppend::new(self.caps, self.cache.formats, self.config.rope.pairing, with);
        let kernel = RopeAppend { texture: self.cache.texture, ..kernel };
        // What is not there is not read.
        let [bias, gains] = [bias, gains].map(|it| it.map_or(self.table, Vector::slice));
        let (qkv, q, table) = (qkv.slice, out.slice, self.table);
        let args = kernels::rope_append::Args { qkv, bias, gains, table, q, keys, values };
        self.recording.run(kernel, params, args);
        out
    }

    /// The same, queries staying where they are, with a launch for each step.
    fn turn_and_remember_apart(&mut self, layer: usize, qkv: Act, [bias, gains]: [Option<&Vector>; 2]) {
        let (heads, kv_heads) = (narrow(self.config.heads), narrow(self.config.kv_heads));
        let [q_width, kv_width] = [self.config.q_width(), self.config.kv_width()].map(narrow);
        if let Some(bias) = bias {
            self.add(qkv, bias.slice(), bias.len);
        }
        if let Some(gains) = gains {
            self.head_norm(qkv, gains);
        }
        self.rope(qkv, heads, 0);
        self.rope(qkv, kv_heads, q_width);
        self.append(qkv, q_width, (self.cache.keys(layer).all(), 0));
        self.append(qkv, q_width + kv_width, (self.cache.values(layer).all(), 1));
    }

    /// Normalises each head of queries and keys in place.
    fn head_norm(&mut self, x: Act, gains: &Vector) {
        let params = kernels::head_norm::Params {
            n_tokens: self.tokens,
            n_heads: narrow(self.config.heads),
            kv_heads: narrow(self.config.kv_heads),
            head_dim: narrow(self.config.head_dim),
            ld: x.width,
            eps: self.config.norm_eps,
        };
        let kernel = kernels::head_norm::HeadNorm { reduce: kernels::Reduce::all(self.caps)[0], lanes: 64 };
        let args = kernels::head_norm::Args { x: x.slice, gains: gains.slice() };
        self.recording.run(kernel, params, args);
    }

    /// Rotates `n_heads` heads in place, from column `first` on.
    fn rope(&mut self, x: Act, n_heads: u32, first: u32) {
        let params = kernels::rope::Params {
            n_tokens: self.tokens,
            n_heads,
            head_dim: narrow(self.config.head_dim),
            rotary: narrow(self.config.rope.rotary),
            position: self.position,
            ld: x.width,
            first,
        };
        let kernel = kernels::rope::Rope { pairing: self.config.rope.pairing, lanes: 64 };
        self.recording.run(kernel, params, kernels::rope::Args { x: x.slice, table: self.table });
    }

    /// Stores keys (0) or values (1), from column `first` on, in the cache.
    fn append(&mut self, x: Act, first: u32, (cache, which): (Slice, usize)) {
        let params = kernels::kv_append::Params {
            n_tokens: self.tokens,
            n_heads: narrow(self.config.kv_heads),
            head_dim: narrow(self.config.head_dim),
            capacity: narrow(self.cache.capacity),
            position: self.position,
            stride: self.cache.strides[which],
            ld: x.width,
            first,
        };
        let (format, texture) = (self.cache.formats[which], self.cache.texture);
        let kernel = kernels::kv_append::KvAppend { format, lanes: 64, texture };
        self.recording.run(kernel, params, kernels::kv_append::Args { x: x.slice, cache });
    }

    /// Causal attention of the queries over the cache of `layer`; `q` holds them first in each row.
    pub fn attend(&mut self, layer: usize, q: Act) -> Act {
        let out = self.act(Spot::Mixed, narrow(self.config.q_width()));
        let (keys, values) = (self.cache.keys(layer).all(), self.cache.values(layer).all());
        match self.switches.attention {
            AttentionPath::Fused => self.attend_fused(q, [keys, values], out),
            AttentionPath::Unfused => self.attend_unfused(q, [keys, values], out),
        }
        out
    }

    fn attend_fused(&mut self, q: Act, [keys, values]: [Slice; 2], out: Act) {
        let (head, group) = (narrow(self.config.head_dim), narrow(self.config.group()));
        let kernel = kernels::attention_for(self.cache.formats, head, group, self.tokens, self.caps);
        let (context, n_heads) = (self.position + self.tokens, narrow(self.config.heads));
        let groups = u64::from(n_heads / group) * u64::from(self.tokens.div_ceil(kernel.tokens()));
        // The scratch buffer holds the parts of so many tokens and splits.
        let span = match self.switches.span {
            _ if self.tokens > SMALL_BATCH => context,
            Some(span) => span.max(context.div_ceil(MAX_SPLITS)).min(context),
            None => kernels::span_for(context, groups, self.caps),
        };
        let [key_stride, value_stride] = self.cache.strides;
        let params = kernels::attention::Params {
            n_tokens: self.tokens,
            n_heads,
            capacity: narrow(self.cache.capacity),
            position: self.position,
            key_stride,
            value_stride,
            ld: q.width,
            span,
            scale: self.attention_scale(),
        };
        let splits = params.splits();
        let to = if splits == 1 { out.slice } else { self.scratch.buffer(Spot::Parts).all() };
        kernel.record(self.recording, params, kernels::attention::Args { q: q.slice, keys, values, out: to });
        if splits > 1 {
            let params = kernels::attn_fold::Params { n_rows: self.tokens * n_heads, head_dim: head, splits };
            let args = kernels::attn_fold::Args { parts: to, out: out.slice };
            self.recording.run(kernels::attn_fold::AttnFold { lanes: 64 }, params, args);
        }
    }

    fn attend_unfused(&mut self, q: Act, [keys, values]: [Slice; 2], out: Act) {
        let (n_tokens, n_heads, position) = (self.tokens, narrow(self.config.heads), self.position);
        let (head_dim, group) = (narrow(self.config.head_dim), narrow(self.config.group()));
        let (capacity, [stride, value_stride]) = (narrow(self.cache.capacity), self.cache.strides);
        let ([cache, value_cache], texture, lanes) = (self.cache.formats, self.cache.texture, 64);
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
            ld: q.width,
            scale,
        };
        let args = kernels::attn_scores::Args { q: q.slice, keys, scores };
        self.recording.run(kernels::attn_scores::AttnScores { cache, lanes, texture }, params, args);
        let params =
            kernels::attn_softmax::Params { n_rows: n_tokens * n_heads, n_cols: position + n_tokens };
        let reduce = kernels::Reduce::all(self.caps)[0];
        let kernel = kernels::attn_softmax::AttnSoftmax { reduce, lanes };
        self.recording.run(kernel, params, kernels::attn_softmax::Args { scores });
        let stride = value_stride;
        let params =
            kernels::attn_values::Params { n_tokens, n_heads, head_dim, group, capacity, position, stride };
        let args = kernels::attn_values::Args { weights: scores, values, out: out.slice };
        self.recording.run(
            kernels::attn_values::AttnValues { cache: value_cache, lanes, texture },
            params,
            args,
        );
    }

    #[expect(clippy::cast_possible_truncation, reason = "the kernels take f32")]
    fn attention_scale(&self) -> f32 {
        (1.0 / (self.config.head_dim as f64).sqrt()) as f32
    }

    /// Final norm and head for `rows` tokens from `row0` on: logits (rows, vocab).
    pub(crate) fn head(&mut self, model: &Model, row0: u32, rows: u32) -> Act {
        let normed = self.rms_norm_rows(self.residual(), &model.norm, row0, rows);
        let matrix = model.head.as_ref().unwrap_or(&model.embed);
        let logits = self.act(Spot::Logits, matrix.rows);
        let x = self.factor(normed, rows, once(matrix.format));
        self.product(matrix, x, (logits, 0, Epilogue::Store));
        logits
    }

    /// Greedy choice of each of `rows` rows of logits, to the ids of a buffer from `pick0` on.
    pub(crate) fn argmax(&mut self, logits: Act, rows: u32, (to, pick0): (Spot, u32)) -> Slice {
        let picks = self.scratch.buffer(to).slice(0, 4 * u64::from(pick0 + rows));
        let params = kernels::argmax::Params { n_rows: rows, n_cols: logits.width, pick0 };
        let lanes = self.caps.max_invocations.min(256);
        self.recording.run(
            kernels::argmax::Argmax { lanes },
            params,
            kernels::argmax::Args { x: logits.slice, picks },
        );
        picks
    }

    /// The token drawn from a row of logits, to an id of the tokens' buffer.
    pub(crate) fn draw(&mut self, logits: Act, Draw { sampler, at }: Draw, place: u32) {
        let params = kernels::draw::Params {
            n_cols: logits.width,
            pick0: place,
            top_k: narrow(sampler.top_k),
            top_p: sampler.top_p,
            // The lowest number that is added without a trace: a logarithm of zero would be infinite.
            min_p_ln: sampler.min_p.ln().max(-1e30),
            temperature: sampler.temperature,
            at,
        };
        let picks = self.scratch.buffer(Spot::Tokens).slice(0, 4 * u64::from(place + 1));
        let lanes = self.caps.max_invocations.min(256);
        self.recording.run(
            kernels::draw::Draw { lanes },
            params,
            kernels::draw::Args { x: logits.slice, picks },
        );
    }
}

/// A token drawn on the device, at a number in [0, 1).
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Draw {
    sampler: Sampler,
    at: f32,
}

impl Draw {
    /// Whether the device can draw as the sampler does.
    pub(crate) fn can(sampler: &Sampler) -> bool {
        let few = (1..=kernels::draw::MOST as usize).contains(&sampler.top_k);
        few && sampler.forgets() && !sampler.is_greedy()
    }

    /// The draw at a number.
    #[expect(clippy::cast_possible_truncation, reason = "the device counts in f32")]
    pub(crate) fn new(sampler: &Sampler, at: f64) -> Self {
        // The largest number below 1: rounding must not reach it.
        Self { sampler: *sampler, at: (at as f32).min(1.0 - f32::EPSILON / 2.0) }
    }
}

/// Dimensions were checked when the configuration was read.
pub(crate) fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("a checked dimension fits 32 bits")
}
