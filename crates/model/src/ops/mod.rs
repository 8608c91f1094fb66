//! The operations that families are composed of. Kernels are chosen here and nowhere else.

mod attention;
mod linear;
mod mixture;
mod mla;
mod norm;
mod recurrent;
mod sampling;

use crate::cache::KvCache;
use crate::config::dim32;
use crate::matrix::{FusedLinear, Vector, WeightMatrix};
use crate::rope::RopeTable;
use crate::scratch::{Scratch, Temp};
use crate::session::token_table::{Segment, TokensSeen};
use crate::{Config, Fusion, Model, Part, Switches};
use ridgeline_compute::{Caps, Recording, Region, Slice};
use ridgeline_kernels::{self as kernels, Epilogue, Tuning};
pub(crate) use sampling::Sample;
use std::iter::once;

/// An activation tensor `(tokens, width)` in f32, stored in a buffer of [`Temp`].
#[derive(Clone, Copy, Debug)]
pub struct Activation {
    pub(crate) slice: Slice,
    /// Values per token.
    pub width: u32,
}

/// Records the operations of one forward pass over `tokens` tokens.
#[derive(Debug)]
pub struct Ops<'a> {
    pub(crate) recording: &'a mut Recording,
    pub(crate) config: &'a Config,
    pub(crate) scratch: &'a Scratch,
    pub(crate) cache: &'a KvCache,
    /// The rotations that [`Heads::rope`](crate::layers::Heads) indexes.
    pub(crate) ropes: &'a [RopeTable],
    /// What the tokens of the cache and of the forward pass see.
    pub(crate) token_table: Slice,
    /// What the tokens of the forward pass see, once per distinct window of the layers.
    pub(crate) seen: &'a [TokensSeen],
    /// The sequences that the tokens belong to, in order.
    pub(crate) segments: &'a [Segment],
    pub(crate) caps: &'a Caps,
    pub(crate) tuning: &'a Tuning,
    pub(crate) switches: Switches,
    /// Index of the first id in [`Temp::Tokens`].
    pub(crate) first: u32,
    pub(crate) tokens: u32,
    pub(crate) layer: Option<u32>,
    /// Whether the current module is ablated: its operations then record nothing.
    pub(crate) ablated: bool,
}

impl Activation {
    /// The rows from `row0` on, without a copy.
    ///
    /// Slices are aligned to 256 bytes. Where row `row0` is not, the rows begin at the last aligned one before it.
    /// Only ablation asks for these rows, and its values mean nothing.
    fn rows_from(self, row0: u32) -> Self {
        let row = 4 * u64::from(self.width);
        let first = (0..=u64::from(row0)).rev().find(|n| (n * row).is_multiple_of(256)).unwrap_or(0);
        Self { slice: self.slice.part(first * row, self.slice.bytes - first * row), ..self }
    }
}

impl Ops<'_> {
    /// Labels the launches that follow with a module of the current layer, and ablates them if its part is.
    pub fn enter_module(&mut self, module: &'static str) {
        let ablate = self.switches.ablate;
        self.ablated = !ablate.is_empty() && Part::of(module).is_some_and(|part| ablate.has(part));
        self.recording.enter(Region { layer: self.layer, module });
    }

    /// Length of the blocks of consecutive tokens that surely are of one sequence, in a division of all tokens into equal
    /// blocks. A workgroup that serves tokens of two sequences would read all rows between them.
    fn tokens_together(&self) -> u32 {
        let several = || self.segments.iter().map(|it| it.n.trailing_zeros()).min();
        if self.segments.len() == 1 { self.tokens } else { 1 << several().unwrap_or(0) }
    }

    pub(crate) fn activation(&self, temp: Temp, width: u32) -> Activation {
        Activation { slice: self.scratch.buffer(temp).all(), width }
    }

    /// The residual stream.
    #[must_use]
    pub fn residual(&self) -> Activation {
        self.activation(Temp::Residual, dim32(self.config.hidden))
    }

    /// Looks up rows of `table`, multiplies them by `scale` and stores them in the residual stream. Tokens that have no
    /// row there are left unchanged.
    pub(crate) fn embed(&mut self, table: &WeightMatrix, scale: f32) {
        let y = self.residual();
        if self.ablated {
            return;
        }
        for chunk in &table.chunks {
            let params = kernels::embed::Params {
                n_tokens: self.tokens,
                n_rows: chunk.rows,
                n_cols: table.cols,
                stride: table.stride,
                row0: chunk.row0,
                token0: self.first,
                scale,
            };
            let tokens = self.scratch.buffer(Temp::Tokens).all();
            let args = kernels::embed::Args { table: chunk.slice, tokens, y: y.slice };
            self.recording.run(
                kernels::embed::Embed { format: table.format, layout: table.layout, workgroup_size: 64 },
                params,
                args,
            );
        }
    }

    /// x·Wᵀ of fused linear layers, stored in `to`.
    pub fn project_each(&mut self, fused: &FusedLinear, x: Activation, to: Temp) -> Activation {
        let to = self.activation(to, fused.rows);
        if self.ablated {
            return to;
        }
        let merged = self.switches.fusions.has(Fusion::Qkv);
        let x = self.operand(x, self.tokens, fused.formats());
        if merged && self.linear_dual(&fused.merged, x, to) {
            return to;
        }
        self.linear_each(if merged { &fused.merged } else { &fused.parts }, x, to);
        to
    }

    /// x·Wᵀ + bias, stored in `to`.
    pub fn project(
        &mut self,
        matrix: &WeightMatrix,
        bias: Option<&Vector>,
        x: Activation,
        to: Temp,
    ) -> Activation {
        let to = self.activation(to, matrix.rows);
        if self.ablated {
            return to;
        }
        let x = self.operand(x, self.tokens, once(matrix.format));
        self.linear(matrix, x, (to, 0, Epilogue::Store));
        if let Some(bias) = bias {
            self.add(to, bias.slice(), bias.len);
        }
        to
    }

    /// Adds x·Wᵀ + bias to the residual stream.
    pub fn linear_add_residual(&mut self, matrix: &WeightMatrix, bias: Option<&Vector>, x: Activation) {
        if self.ablated {
            return;
        }
        let residual = self.residual();
        if self.switches.fusions.has(Fusion::Residual) {
            let x = self.operand(x, self.tokens, once(matrix.format));
            self.linear(matrix, x, (residual, 0, Epilogue::Add));
            if let Some(bias) = bias {
                self.add(residual, bias.slice(), bias.len);
            }
            return;
        }
        let out = self.project(matrix, bias, x, Temp::BlockOut);
        self.add(residual, out.slice, self.tokens * residual.width);
    }

    /// Adds a vector of `period` values to x, repeated over all of x.
    fn add(&mut self, x: Activation, delta: Slice, period: u32) {
        let params = kernels::add::Params { n: self.tokens * x.width, period };
        let args = kernels::add::Args { x: x.slice, delta };
        self.recording.run(kernels::add::Add { workgroup_size: 64 }, params, args);
    }

    /// Adds a tensor of the size of x to x.
    pub(crate) fn add_all(&mut self, x: Activation, delta: &Vector) {
        if !self.ablated {
            self.add(x, delta.slice(), delta.len);
        }
    }

    /// x with each `n` rows read as one, without a copy. What follows has fewer tokens.
    pub(crate) fn merge_rows(&mut self, x: Activation, n: u32) -> Activation {
        self.tokens /= n;
        Activation { width: n * x.width, ..x }
    }

    /// Final norm and head of `rows` tokens, beginning at token `row0`: logits (rows, vocab).
    pub(crate) fn head(&mut self, model: &Model, row0: u32, rows: u32) -> Activation {
        self.enter_module("output_norm");
        let normed = self.norm_rows(self.residual(), &model.norm, Temp::Normed, [row0, rows]);
        self.enter_module("lm_head");
        let matrix = model.head.as_ref().unwrap_or(&model.embed);
        let logits = self.activation(Temp::Logits, matrix.rows);
        if self.ablated {
            return logits;
        }
        let x = self.operand(normed, rows, once(matrix.format));
        self.linear(matrix, x, (logits, 0, Epilogue::Store));
        logits
    }
}
