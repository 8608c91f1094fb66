//! Mixtures of experts: the router, the products with the chosen matrices, and their weighted sum.

use super::{Activation, Ops};
use crate::Fusion;
use crate::layers::Routing;
use crate::matrix::{FusedLinear, WeightMatrix};
use crate::scratch::Temp;
use ridgeline_compute::Slice;
use ridgeline_kernels::mat_mul_id::{self, MatMulId};
use ridgeline_kernels::mat_vec_id::{self, MatVecId};
use ridgeline_kernels::{self as kernels, combine_experts, glu, group_by_expert, sigmoid_gate, top_k};

/// The experts of every token and their weights, (tokens, `top_k`) each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    experts: Slice,
    weights: Slice,
    /// The pairs of a token and an expert, sorted by expert, if there are many.
    grouped: Option<Grouped>,
}

/// Pairs of a token and an expert, sorted by expert.
#[derive(Clone, Copy, Debug)]
struct Grouped {
    order: Slice,
    /// Where the pairs of each expert begin.
    starts: Slice,
}

/// Where the products of one matrix go, and what they read.
struct Product {
    /// Rows of an expert.
    rows: u32,
    /// Distance from a gate row to its up row. `None` without a gated epilogue.
    up_row: Option<u32>,
    /// Pairs of a token and an expert that share a row of the input.
    share: u32,
    /// First column of the output.
    row0: u32,
}

impl Ops<'_> {
    /// The experts with the largest logits, and their softmax weights.
    pub(crate) fn top_k(&mut self, logits: Activation, routing: &Routing) -> Chosen {
        let bytes = (4 * self.scratch.tokens as u64 * u64::from(routing.top_k)).next_multiple_of(256);
        let first = u64::from(self.layer.unwrap_or(0)) * bytes;
        let experts = self.scratch.buffer(Temp::Experts).slice(first, bytes);
        let weights = self.activation(Temp::ExpertWeights, routing.top_k).slice;
        if !self.ablated {
            let params = top_k::Params {
                n_rows: self.tokens,
                n_experts: routing.experts,
                top_k: routing.top_k,
                renormalise: u32::from(routing.renormalise),
                scale: routing.scale,
            };
            let args = top_k::Args { x: logits.slice, experts, weights };
            self.recording.run(top_k::TopK::new(self.caps), params, args);
            self.recording.decides(experts);
        }
        Chosen { experts, weights, grouped: self.group_by_expert(experts, routing) }
    }

    /// Sorts the pairs of a token and an expert by expert. `None`, without recording anything, where they are few.
    fn group_by_expert(&mut self, experts: Slice, routing: &Routing) -> Option<Grouped> {
        let n_pairs = self.tokens * routing.top_k;
        if self.ablated || !kernels::groups_by_expert(n_pairs, routing.experts) {
            return None;
        }
        let order = self.scratch.buffer(Temp::ExpertOrder).all();
        let bytes = (4 * (u64::from(routing.experts) + 1)).next_multiple_of(256);
        let starts =
            self.scratch.buffer(Temp::ExpertStarts).slice(u64::from(self.layer.unwrap_or(0)) * bytes, bytes);
        let params = group_by_expert::Params { n_pairs, n_experts: routing.experts };
        let args = group_by_expert::Args { experts, order, starts };
        self.recording.run(group_by_expert::GroupByExpert { workgroup_size: 64 }, params, args);
        self.recording.decides(starts);
        Some(Grouped { order, starts })
    }

    /// silu(gate) ⊙ up of the chosen experts, (tokens, `top_k`, ffn).
    pub(crate) fn experts_glu(
        &mut self,
        gate_up: &FusedLinear,
        x: Activation,
        (chosen, routing): (Chosen, &Routing),
    ) -> Activation {
        let (k, rows) = (routing.top_k, routing.ffn);
        let out = self.activation(Temp::FfnHidden, k * rows);
        if self.ablated {
            return out;
        }
        if let [(_, both)] = &*gate_up.merged
            && self.switches.fusions.has(Fusion::GateUp)
        {
            let product = Product { rows, up_row: Some(routing.experts * rows), share: k, row0: 0 };
            self.experts_linear(both, x, (out, product), (chosen, routing));
            return out;
        }
        let both = self.activation(Temp::GateUp, 2 * k * rows);
        for (row0, (_, matrix)) in [0, rows].into_iter().zip(&gate_up.parts) {
            let product = Product { rows, up_row: None, share: k, row0 };
            self.experts_linear(matrix, x, (both, product), (chosen, routing));
        }
        let params = glu::Params { n_rows: self.tokens * k, n_cols: rows };
        let kernel = glu::Glu { activation: kernels::Activation::Silu, workgroup_size: 64 };
        self.recording.run(kernel, params, glu::Args { gate_up: both.slice, out: out.slice });
        out
    }

    /// Adds the weighted sum of the chosen experts' outputs to the residual stream.
    pub(crate) fn experts_add_residual(
        &mut self,
        down: &WeightMatrix,
        hidden: Activation,
        (chosen, routing): (Chosen, &Routing),
    ) {
        if self.ablated {
            return;
        }
        let residual = self.residual();
        let out = self.activation(Temp::ExpertOut, routing.top_k * residual.width);
        let product = Product { rows: residual.width, up_row: None, share: 1, row0: 0 };
        self.experts_linear(down, hidden, (out, product), (chosen, routing));
        let params =
            combine_experts::Params { n_tokens: self.tokens, n_cols: residual.width, top_k: routing.top_k };
        let args = combine_experts::Args { y: out.slice, weights: chosen.weights, x: residual.slice };
        self.recording.run(combine_experts::CombineExperts { workgroup_size: 64 }, params, args);
    }

    /// x·Wᵀ of every token with the matrices of its experts.
    fn experts_linear(
        &mut self,
        matrix: &WeightMatrix,
        x: Activation,
        (to, product): (Activation, Product),
        (chosen, routing): (Chosen, &Routing),
    ) {
        let gated = u32::from(product.up_row.is_some());
        for chunk in &matrix.chunks {
            let params = mat_vec_id::Params {
                n_rows: product.rows,
                n_cols: matrix.cols,
                n_pairs: self.tokens * routing.top_k,
                top_k: routing.top_k,
                share: product.share,
                stride: matrix.stride,
                ld: to.width / routing.top_k,
                row0: product.row0,
                expert0: chunk.row0 / product.rows,
                n_experts: chunk.rows / product.rows / (1 + gated),
                all_experts: routing.experts,
                expert_rows: product.rows,
                up_row: product.up_row.unwrap_or(0),
                gated,
            };
            let (weights, x, y) = (chunk.slice, x.slice, to.slice);
            if let Some(Grouped { order, starts }) = chosen.grouped {
                let kernel = MatMulId::new(matrix.format, matrix.layout, self.caps);
                let args = mat_mul_id::Args { weights, x, order, starts, y };
                self.recording.run(kernel, bytemuck::cast(params), args);
                continue;
            }
            let args = mat_vec_id::Args { weights, x, experts: chosen.experts, y };
            self.recording.run(MatVecId::new(matrix.format, matrix.layout, self.caps), params, args);
        }
    }

    /// x = x · σ(gate) in place, with one gate for each token.
    pub(crate) fn sigmoid_gate_tokens(&mut self, x: Activation, gate: Activation) {
        if self.ablated {
            return;
        }
        let params = sigmoid_gate::Params {
            n_rows: self.tokens,
            n_cols: x.width,
            ld: gate.width,
            first: 0,
            group: x.width,
            group_ld: 0,
            step: 0,
        };
        let args = sigmoid_gate::Args { x: x.slice, gates: gate.slice };
        self.recording.run(sigmoid_gate::SigmoidGate { workgroup_size: 64 }, params, args);
    }
}
