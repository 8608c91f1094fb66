//! Norms, and the activations of feed-forward blocks.

use super::{Activation, Ops};
use crate::Fusion;
use crate::layers::Norm;
use crate::matrix::{FusedLinear, Vector};
use crate::scratch::Temp;
use ridgeline_kernels as kernels;

impl Ops<'_> {
    /// A norm of every token, stored in `to`.
    pub fn norm(&mut self, x: Activation, norm: &Norm, to: Temp) -> Activation {
        self.norm_rows(x, norm, to, [0, self.tokens])
    }

    /// A norm of `rows` tokens, beginning at token `row0`.
    pub(crate) fn norm_rows(
        &mut self,
        x: Activation,
        norm: &Norm,
        to: Temp,
        [row0, n_rows]: [u32; 2],
    ) -> Activation {
        if self.ablated {
            return x.rows_from(row0);
        }
        let y = self.activation(to, x.width);
        let (n_cols, eps) = (x.width, self.config.norm_eps);
        match norm {
            Norm::Rms(gain) => {
                let params = kernels::rms_norm::Params { n_rows, n_cols, row0, eps };
                let args = kernels::rms_norm::Args { x: x.slice, gain: gain.slice(), y: y.slice };
                self.recording.run(kernels::norm_for(self.caps), params, args);
            }
            Norm::Layer(gain, bias) => {
                let params = kernels::layer_norm::Params { n_rows, n_cols, row0, eps };
                let (gain, bias) = (gain.slice(), bias.slice());
                let args = kernels::layer_norm::Args { x: x.slice, gain, bias, y: y.slice };
                self.recording.run(kernels::layer_norm::LayerNorm::new(self.caps), params, args);
            }
        }
        y
    }

    /// Adds the RMSNorm of x to the residual stream. Ablation adds nothing.
    pub fn norm_add_residual(&mut self, x: Activation, gain: &Vector) {
        if self.ablated {
            return;
        }
        let (n_rows, n_cols, eps) = (self.tokens, x.width, self.config.norm_eps);
        let params = kernels::rms_norm_add::Params { n_rows, n_cols, eps };
        let (gain, y) = (gain.slice(), self.residual().slice);
        let args = kernels::rms_norm_add::Args { x: x.slice, gain, y };
        self.recording.run(kernels::rms_norm_add::RmsNormAdd::new(self.caps), params, args);
    }

    /// f(gate) ⊙ up of the gate and up projections (Shazeer 2020).
    pub fn glu(
        &mut self,
        gate_up: &FusedLinear,
        activation: kernels::Activation,
        x: Activation,
    ) -> Activation {
        let width = gate_up.rows / 2;
        let out = self.activation(Temp::FfnHidden, width);
        if self.ablated {
            return out;
        }
        let x = self.operand(x, self.tokens, gate_up.formats());
        let fused = self.switches.fusions.has(Fusion::GateUp);
        if let [(_, both)] = &*gate_up.merged
            && fused
            && both.chunks.len() == 1
            && self.can_glu(both, x)
        {
            self.linear_glu(both, x, out, activation);
            return out;
        }
        let both = self.activation(Temp::GateUp, gate_up.rows);
        self.linear_each(if fused { &gate_up.merged } else { &gate_up.parts }, x, both);
        let args = kernels::glu::Args { gate_up: both.slice, out: out.slice };
        let params = kernels::glu::Params { n_rows: self.tokens, n_cols: width };
        self.recording.run(kernels::glu::Glu { activation, workgroup_size: 64 }, params, args);
        out
    }

    /// x = f(x + bias) in place.
    pub fn activate(&mut self, x: Activation, bias: Option<&Vector>, activation: kernels::Activation) {
        if self.ablated {
            return;
        }
        let params = kernels::activate::Params { n: self.tokens * x.width, period: x.width };
        // An absent bias is never read, but its binding needs another buffer.
        let unread = self.residual().slice;
        let args = kernels::activate::Args { x: x.slice, bias: bias.map_or(unread, Vector::slice) };
        let kernel = kernels::activate::Activate { activation, bias: bias.is_some(), workgroup_size: 64 };
        self.recording.run(kernel, params, args);
    }

    /// x = x ⊙ σ(gates) in place, with the gates in column `first` and those after it.
    pub fn sigmoid_gate(&mut self, x: Activation, gates: Activation, first: u32) {
        if self.ablated {
            return;
        }
        let params = kernels::sigmoid_gate::Params {
            n_rows: self.tokens,
            n_cols: x.width,
            ld: gates.width,
            first,
            group: x.width,
            group_ld: 0,
            step: 1,
        };
        let args = kernels::sigmoid_gate::Args { x: x.slice, gates: gates.slice };
        self.recording.run(kernels::sigmoid_gate::SigmoidGate { workgroup_size: 64 }, params, args);
    }
}
