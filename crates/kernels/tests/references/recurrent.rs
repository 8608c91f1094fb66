//! Convolution and delta rule: by hand, by the formula of the paper, and in chunks.

use crate::{assert_floats, run, words};
use ridgeline_compute::{Caps, TestRng};
use ridgeline_kernels::conv1d::{self, Conv1d};
use ridgeline_kernels::gated_delta_rule::{self, GatedDeltaRule};
use std::ops::Range;

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[test]
fn a_convolution_sees_the_inputs_before() {
    // Two channels, the second with weights of the last input alone. Rows of x have a value before the channels.
    let weights = words(&[1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 1.0]);
    let x = [9.0, 1.0, -1.0, 9.0, 2.0, -2.0];
    let params = conv1d::Params { n_tokens: 2, token0: 0, n_channels: 2, ld: 3, first: 1 };
    let kernel = Conv1d { width: 4, workgroup_size: 64 };
    let mut bindings = [words(&x), weights.clone(), words(&[0.0; 6]), vec![0; 4]];
    run(kernel, &params, &mut bindings);
    assert_floats(&bindings[3], &[silu(4.0), silu(-1.0), silu(3.0 + 8.0), silu(-2.0)]);
    assert_floats(&bindings[2], &[0.0, 0.0, 1.0, -1.0, 2.0, -2.0]);
    // Token by token, the state carries the inputs over.
    let mut steps = [words(&x), weights.clone(), words(&[0.0; 6]), vec![0; 4]];
    for token0 in 0..2 {
        run(kernel, &conv1d::Params { n_tokens: 1, token0, ..params }, &mut steps);
    }
    assert_eq!(steps[2..], bindings[2..]);
}

#[test]
fn the_delta_rule_moves_a_memory_towards_its_value() {
    // With decay −1 and a + dt_bias = 0, g = exp(−ln 2) = 1/2. With b = 0, β = 1/2. Key and query are the first unit vector.
    let kernel = GatedDeltaRule::new(4, &Caps::webgpu());
    let params = gated_delta_rule::Params {
        n_tokens: 1,
        token0: 0,
        key_heads: 1,
        value_heads: 1,
        value: 4,
        ld: 12,
        gates_ld: 2,
        alpha0: 0,
        beta0: 1,
        scale: 10.0,
    };
    let qkv = words(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    // Each column of the state is (2, 0, 0, 8): its memory of the key is 2, and decays to 1.
    let state = words(&[[2.0, 0.0, 0.0, 8.0]; 4].concat());
    let mut bindings = [qkv, words(&[0.5, 0.0]), words(&[-1.0]), words(&[-0.5]), state, vec![0; 4]];
    run(kernel, &params, &mut bindings);
    assert_floats(&bindings[5], &[10.0, 15.0, 20.0, 25.0]);
    let column = |memory: f64| [memory, 0.0, 0.0, 4.0];
    assert_floats(&bindings[4], &[1.0, 1.5, 2.0, 2.5].map(column).concat());
}

/// Shape of the comparison with the paper: two value heads for each key head.
const KEY: usize = 8;
const VALUE: usize = 12;
const KEY_HEADS: usize = 2;
const HEADS: usize = 4;
const LD: usize = 2 * KEY_HEADS * KEY + HEADS * VALUE + 4;

/// Equation 10 of Yang et al. 2024 for a matrix S \[value, key\]. The state is S = S · α (I − β k kᵀ) + β v kᵀ, the output S q.
fn paper(s: &mut [[f64; KEY]; VALUE], [q, k, v]: [&[f32]; 3], alpha: f64, beta: f64) -> Vec<f64> {
    let mut transition = [[0.0; KEY]; KEY];
    for (i, row) in transition.iter_mut().enumerate() {
        for (j, to) in row.iter_mut().enumerate() {
            let identity = if i == j { 1.0 } else { 0.0 };
            *to = alpha * (identity - beta * f64::from(k[i]) * f64::from(k[j]));
        }
    }
    for (row, &v) in s.iter_mut().zip(v) {
        let old = *row;
        for (j, to) in row.iter_mut().enumerate() {
            let moved: f64 = (0..KEY).map(|i| old[i] * transition[i][j]).sum();
            *to = moved + beta * f64::from(v) * f64::from(k[j]);
        }
    }
    s.iter().map(|row| row.iter().zip(q).map(|(s, &q)| s * f64::from(q)).sum()).collect()
}

fn params(tokens: &Range<usize>) -> gated_delta_rule::Params {
    let size = |n: usize| u32::try_from(n).expect("a small number");
    gated_delta_rule::Params {
        n_tokens: size(tokens.len()),
        token0: size(tokens.start),
        key_heads: size(KEY_HEADS),
        value_heads: size(HEADS),
        value: size(VALUE),
        ld: size(LD),
        gates_ld: size(2 * HEADS),
        alpha0: size(HEADS),
        beta0: 0,
        scale: 0.5,
    }
}

#[test]
fn the_delta_rule_equals_the_formula_of_the_paper() {
    const TOKENS: usize = 7;
    let mut rng = TestRng::new(3);
    let qkv: Vec<f32> = rng.floats(TOKENS * LD).into_iter().map(|v| 0.4 * v).collect();
    let gates = rng.floats(TOKENS * 2 * HEADS);
    let (decay, dt_bias) = ([-0.3_f32, -1.0, -0.1, -2.0], rng.floats(HEADS));
    let kernel = GatedDeltaRule::new(u32::try_from(KEY).expect("a small number"), &Caps::webgpu());

    let mut expected = vec![0.0; TOKENS * HEADS * VALUE];
    for h in 0..HEADS {
        let mut s = [[0.0; KEY]; VALUE];
        for (t, row) in qkv.chunks(LD).enumerate() {
            // GGUF's order: value heads 0 and 2 have key head 0.
            let q = &row[h % KEY_HEADS * KEY..][..KEY];
            let k = &row[(KEY_HEADS + h % KEY_HEADS) * KEY..][..KEY];
            let v = &row[2 * KEY_HEADS * KEY + h * VALUE..][..VALUE];
            let [b, a] = [0, HEADS].map(|first| f64::from(gates[t * 2 * HEADS + first + h]));
            let softplus = (1.0 + (a + f64::from(dt_bias[h])).exp()).ln();
            let alpha = (f64::from(decay[h]) * softplus).exp();
            let out = paper(&mut s, [q, k, v], alpha, 1.0 / (1.0 + (-b).exp()));
            for (to, o) in expected[(t * HEADS + h) * VALUE..].iter_mut().zip(out) {
                *to = 0.5 * o;
            }
        }
    }

    // In one launch, and in two that carry the state over.
    for split in [TOKENS, 3] {
        let (state, out) = (vec![0; HEADS * VALUE * KEY], vec![0; TOKENS * HEADS * VALUE]);
        let mut bindings = [words(&qkv), words(&gates), words(&decay), words(&dt_bias), state, out];
        for tokens in [0..split, split..TOKENS].into_iter().filter(|tokens| !tokens.is_empty()) {
            run(kernel, &params(&tokens), &mut bindings);
        }
        assert_floats(&bindings[5], &expected);
    }
}
