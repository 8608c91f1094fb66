//! Norms, by hand.

use crate::{assert_floats, run, words};
use ridgeline_compute::Caps;
use ridgeline_kernels::gated_rms_norm::{self, GatedRmsNorm};
use ridgeline_kernels::l2_norm::{self, L2Norm};
use ridgeline_kernels::layer_norm::{self, LayerNorm};
use ridgeline_kernels::rms_norm_add::{self, RmsNormAdd};

#[test]
fn layer_norm_subtracts_the_mean() {
    // Mean 2.5 and variance 1.25, so that 1 / sqrt(variance + 0.75) = 1 / √2. The first row is skipped.
    let x = words(&[9.0, 9.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0]);
    let (gain, bias) = (words(&[1.0, 2.0, 1.0, 2.0]), words(&[0.0, 1.0, 0.0, -1.0]));
    let mut bindings = [x, gain, bias, vec![0; 4]];
    let params = layer_norm::Params { n_rows: 1, n_cols: 4, row0: 1, eps: 0.75 };
    run(LayerNorm::new(&Caps::webgpu()), &params, &mut bindings);
    let s = 0.5_f64.sqrt();
    assert_floats(&bindings[3], &[-1.5 * s, -s + 1.0, 0.5 * s, 3.0 * s - 1.0]);
}

#[test]
fn rms_norm_add_keeps_the_residual() {
    // The mean square is 12.5.
    let x = words(&[3.0, 4.0, 0.0, 5.0]);
    let mut bindings = [x, words(&[1.0, 2.0, 3.0, 4.0]), words(&[10.0, 20.0, 30.0, -1.0])];
    let params = rms_norm_add::Params { n_rows: 1, n_cols: 4, eps: 0.0 };
    run(RmsNormAdd::new(&Caps::webgpu()), &params, &mut bindings);
    let s = 1.0 / 12.5_f64.sqrt();
    assert_floats(&bindings[2], &[10.0 + 3.0 * s, 20.0 + 8.0 * s, 30.0, -1.0 + 20.0 * s]);
}

#[test]
fn l2_norm_leaves_the_columns_beyond_the_heads() {
    // Two heads of two tokens, then four values that stay.
    let row = [3.0, 4.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 7.0, 7.0, 7.0, 7.0];
    let mut bindings = [words(&[row, row].concat())];
    let params = l2_norm::Params { n_tokens: 2, n_heads: 2, head_dim: 4, ld: 12, eps: 0.0 };
    run(L2Norm::new(&Caps::webgpu()), &params, &mut bindings);
    let normed = [0.6, 0.8, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 7.0, 7.0, 7.0, 7.0];
    assert_floats(&bindings[0], &[normed, normed].concat());
    // With eps the sum of squares is 25 + 75.
    let mut bindings = [words(&row[..4])];
    let params = l2_norm::Params { n_tokens: 1, n_heads: 1, head_dim: 4, ld: 4, eps: 75.0 };
    run(L2Norm::new(&Caps::webgpu()), &params, &mut bindings);
    assert_floats(&bindings[0], &[0.3, 0.4, 0.0, 0.0]);
}

#[test]
fn gated_rms_norm_multiplies_by_silu() {
    // Two heads: the norm makes each value 1 or −1. The z begin at column 4 of rows of 12.
    let mut z = vec![99.0; 12];
    z[4..].copy_from_slice(&[0.0, 1.0, -1.0, 2.0, 1.0, 1.0, 1.0, 1.0]);
    let mut bindings =
        [words(&[2.0, 2.0, 2.0, -2.0, 5.0, 5.0, -5.0, 5.0]), words(&[1.0, 2.0, 3.0, 4.0]), words(&z)];
    let params = gated_rms_norm::Params { n_tokens: 1, n_heads: 2, head_dim: 4, ld: 12, first: 4, eps: 0.0 };
    run(GatedRmsNorm::new(&Caps::webgpu()), &params, &mut bindings);
    // silu(1), silu(−1) and silu(2).
    let [one, minus_one, two] = [0.731_058_578_6, -0.268_941_421_4, 1.761_594_156];
    let expected = [0.0, 2.0 * one, 3.0 * minus_one, -4.0 * two, one, 2.0 * one, -3.0 * one, 4.0 * one];
    assert_floats(&bindings[0], &expected);
}
