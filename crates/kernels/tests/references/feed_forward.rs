//! Activations, gated linear units and gates, by hand.

use crate::{assert_floats, run, words};
use ridgeline_compute::{Caps, Kernel};
use ridgeline_kernels::activate::{self, Activate};
use ridgeline_kernels::glu::{self, Glu};
use ridgeline_kernels::mat_vec::{self, MatVec};
use ridgeline_kernels::sigmoid_gate::{self, SigmoidGate};
use ridgeline_kernels::{Activation, Epilogue, LinearKernel, stride};
use ridgeline_quant::Format;

/// Φ(1), the normal distribution, and σ(1), the logistic function.
const PHI_1: f64 = 0.841_344_746_07;
const SIGMA_1: f64 = 0.731_058_578_63;

#[test]
fn a_gated_linear_unit_activates_the_gate_alone() {
    let gate_up = words(&[1.0, -1.0, 2.0, 0.0, 2.0, 3.0, -5.0, 7.0]);
    let params = glu::Params { n_rows: 1, n_cols: 4 };
    let expected = [
        (Activation::Relu2, [2.0, 0.0, -20.0, 0.0]),
        (Activation::Gelu, [2.0 * PHI_1, -3.0 * (1.0 - PHI_1), -10.0 * 0.977_249_868, 0.0]),
        (Activation::Silu, [2.0 * SIGMA_1, -3.0 * (1.0 - SIGMA_1), -10.0 * 0.880_797_078, 0.0]),
    ];
    for (activation, expected) in expected {
        let mut bindings = [gate_up.clone(), vec![0; 4]];
        run(Glu { activation, workgroup_size: 64 }, &params, &mut bindings);
        assert_floats(&bindings[1], &expected);
    }
}

#[test]
fn the_epilogue_has_the_activation_of_its_variant() {
    // Two gate rows, then two up rows: unit vectors times a factor.
    let cols = Format::SINGLE.spec().unpack_len.max(4);
    let row = |factor: f32| {
        let mut row = vec![0.0; cols];
        row[1] = factor;
        row
    };
    let weights = words(&[row(1.0), row(-1.0), row(2.0), row(3.0)].concat());
    let stride = stride(Format::SINGLE, cols);
    let epilogue = Epilogue::Glu as u32;
    let n_cols = u32::try_from(cols).expect("a small number");
    let params = mat_vec::Params { n_rows: 2, n_cols, n_vecs: 1, stride, ld: 2, row0: 0, epilogue };
    let plain = MatVec::new(Format::SINGLE, &Caps::webgpu(), 4, 1);
    for (activation, expected) in [
        (Activation::Silu, [2.0 * SIGMA_1, -3.0 * (1.0 - SIGMA_1)]),
        (Activation::Gelu, [2.0 * PHI_1, -3.0 * (1.0 - PHI_1)]),
        (Activation::Relu2, [2.0, 0.0]),
    ] {
        let LinearKernel::Vec(kernel) = LinearKernel::Vec(plain).with_activation(activation) else {
            panic!("another kernel");
        };
        let mut bindings = [weights.clone(), words(&row(1.0)), vec![0; 2]];
        run(kernel, &params, &mut bindings);
        assert_floats(&bindings[2], &expected);
        assert_eq!(kernel.flops(&params), 2 * (2 * 2 * u64::from(n_cols) + activation.flops() + 1));
    }
}

#[test]
fn a_bias_is_added_before_the_activation() {
    let params = activate::Params { n: 8, period: 4 };
    let x = words(&[0.0, 1.0, 2.0, -3.0, 0.5, 0.0, 0.0, 4.0]);
    let bias = words(&[1.0, -1.0, 1.0, 1.0]);
    let with = |activation, bias| Activate { activation, bias, workgroup_size: 64 };
    let mut bindings = [x.clone(), bias];
    run(with(Activation::Relu2, true), &params, &mut bindings);
    assert_floats(&bindings[0], &[1.0, 0.0, 9.0, 0.0, 2.25, 0.0, 1.0, 25.0]);
    let mut bindings = [x, vec![]];
    run(with(Activation::Relu2, false), &params, &mut bindings);
    assert_floats(&bindings[0], &[0.0, 1.0, 4.0, 0.0, 0.25, 0.0, 0.0, 16.0]);
}

#[test]
fn gates_lie_between_other_values_or_are_shared() {
    let kernel = SigmoidGate { workgroup_size: 64 };
    // One row of two heads of two values. Each head's gates follow two queries, as in Qwen3.5.
    let mut bindings =
        [words(&[1.0, 2.0, 3.0, 4.0]), words(&[9.0, 9.0, 0.0, 1.0, 9.0, 9.0, -1.0, f32::NEG_INFINITY])];
    let params =
        sigmoid_gate::Params { n_rows: 1, n_cols: 4, ld: 8, first: 2, group: 2, group_ld: 4, step: 1 };
    run(kernel, &params, &mut bindings);
    assert_floats(&bindings[0], &[0.5, 2.0 * SIGMA_1, 3.0 * (1.0 - SIGMA_1), 0.0]);
    // Two rows, each with one gate.
    let mut bindings = [words(&[1.0, 2.0, 3.0, 4.0]), words(&[0.0, 1.0])];
    let params =
        sigmoid_gate::Params { n_rows: 2, n_cols: 2, ld: 1, first: 0, group: 2, group_ld: 0, step: 0 };
    run(kernel, &params, &mut bindings);
    assert_floats(&bindings[0], &[0.5, 1.0, 3.0 * SIGMA_1, 4.0 * SIGMA_1]);
    assert_eq!(kernel.traffic(&params).gates, 8);
}
