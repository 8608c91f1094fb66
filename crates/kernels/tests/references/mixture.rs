//! Mixtures of experts: the router by hand, and the experts' products with their traffic.

use crate::{assert_floats, run, words};
use ridgeline_compute::{Caps, Kernel};
use ridgeline_kernels::combine_experts::{self, CombineExperts};
use ridgeline_kernels::group_by_expert::{self, GroupByExpert};
use ridgeline_kernels::mat_mul_id::{self, MatMulId};
use ridgeline_kernels::mat_vec_id::{self, MatVecId};
use ridgeline_kernels::top_k::{self, TopK};
use ridgeline_kernels::{WeightLayout, stride};
use ridgeline_quant::Format;

#[test]
fn the_lower_id_wins_a_tie() {
    // Two rows of four experts. NaN is the largest, and leaves the other id valid.
    let x = words(&[1.0, 3.0, 3.0, 0.0, f32::NAN, 0.0, -0.0, -5.0]);
    let params = top_k::Params { n_rows: 2, n_experts: 4, top_k: 2, renormalise: 1, scale: 1.0 };
    let mut bindings = [x, vec![9; 4], vec![0; 4]];
    run(TopK::new(&Caps::webgpu()), &params, &mut bindings);
    assert_eq!(bindings[1], [1, 2, 0, 1]);
}

#[test]
fn weights_are_a_softmax_over_all_or_over_the_chosen() {
    // Probabilities 1/8, 1/2, 1/4 and 1/8.
    let x = words(&[0.0, 4.0_f32.ln(), 2.0_f32.ln(), 0.0]);
    for (renormalise, expected) in [(0, [5.0, 2.5]), (1, [20.0 / 3.0, 10.0 / 3.0])] {
        let params = top_k::Params { n_rows: 1, n_experts: 4, top_k: 2, renormalise, scale: 10.0 };
        let mut bindings = [x.clone(), vec![9; 2], vec![0; 2]];
        run(TopK::new(&Caps::webgpu()), &params, &mut bindings);
        assert_eq!(bindings[1], [1, 2]);
        assert_floats(&bindings[2], &expected);
    }
}

/// A row whose only value is column 0.
fn row(value: f32) -> Vec<f32> {
    let mut row = vec![0.0; Format::SINGLE.spec().unpack_len.max(4)];
    row[0] = value;
    row
}

fn kernel() -> MatVecId {
    MatVecId::new(Format::SINGLE, WeightLayout::Plain, &Caps::webgpu())
}

/// Two tokens with two of three experts each. Expert e has the rows (e + 1) and 10 (e + 1).
fn params() -> mat_vec_id::Params {
    let cols = row(0.0).len();
    mat_vec_id::Params {
        n_rows: 2,
        n_cols: u32::try_from(cols).expect("a small number"),
        n_pairs: 4,
        top_k: 2,
        share: 2,
        stride: stride(Format::SINGLE, cols),
        ld: 2,
        row0: 0,
        expert0: 0,
        n_experts: 3,
        all_experts: 3,
        expert_rows: 2,
        up_row: 0,
        gated: 0,
    }
}

#[test]
fn each_pair_has_the_matrix_of_its_expert() {
    let weights = words(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0].map(row).concat());
    let experts = vec![2, 0, 2, 1];
    // Both experts of a token read its row of x.
    let mut bindings = [weights.clone(), words(&[row(1.0), row(-1.0)].concat()), experts.clone(), vec![0; 8]];
    run(kernel(), &params(), &mut bindings);
    assert_floats(&bindings[3], &[3.0, 30.0, 1.0, 10.0, -3.0, -30.0, -2.0, -20.0]);
    // Each pair has a row.
    let mut bindings = [weights, words(&[1.0, 2.0, 3.0, 4.0].map(row).concat()), experts, vec![0; 8]];
    run(kernel(), &mat_vec_id::Params { share: 1, ..params() }, &mut bindings);
    assert_floats(&bindings[3], &[3.0, 30.0, 2.0, 20.0, 9.0, 90.0, 8.0, 80.0]);
}

#[test]
fn gates_and_ups_are_stacked_in_two_orders() {
    // silu(x) · up with gates 0 and 1, for the experts 0 and 1.
    let sigma = 0.731_058_578_63;
    let all_gates_first = ([0.0, 1.0, 5.0, 7.0], 1, 2);
    let by_expert = ([0.0, 5.0, 1.0, 7.0], 2, 1);
    for (rows, expert_rows, up_row) in [all_gates_first, by_expert] {
        let one = mat_vec_id::Params {
            n_rows: 1,
            n_pairs: 2,
            n_experts: 2,
            all_experts: 2,
            ld: 3,
            row0: 1,
            ..params()
        };
        let params = mat_vec_id::Params { expert_rows, up_row, gated: 1, ..one };
        let mut bindings = [words(&rows.map(row).concat()), words(&row(1.0)), vec![1, 0], words(&[9.0; 5])];
        run(kernel(), &params, &mut bindings);
        // Columns beside `row0` stay unchanged.
        assert_floats(&bindings[3], &[9.0, 7.0 * sigma, 9.0, 9.0, 0.0]);
    }
}

/// Bytes of weights, once the experts are known.
fn routed(p: &mat_vec_id::Params, experts: &[u32]) -> u64 {
    kernel().traffic_given(p, &[None, None, Some(experts), None]).weights
}

#[test]
fn experts_are_split_over_launches() {
    let weights = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0].map(row).concat();
    let (mut y, mut flops, mut bytes) = (words(&[7.0; 8]), 0, 0);
    for (expert0, n_experts) in [(0, 1), (1, 2)] {
        let p = mat_vec_id::Params { expert0, n_experts, ..params() };
        let first = 2 * expert0 as usize * row(0.0).len();
        let x = words(&[row(1.0), row(-1.0)].concat());
        let mut bindings = [words(&weights[first..]), x, vec![2, 0, 2, 1], y];
        run(kernel(), &p, &mut bindings);
        [_, _, _, y] = bindings;
        let first_half = [7.0, 7.0, 1.0, 10.0, 7.0, 7.0, 7.0, 7.0];
        assert_floats(
            &y,
            if expert0 == 0 { &first_half } else { &[3.0, 30.0, 1.0, 10.0, -3.0, -30.0, -2.0, -20.0] },
        );
        flops += kernel().flops(&p);
        bytes += kernel().traffic(&p).weights;
        let here = routed(&p, &[2, 0, 2, 1]);
        assert_eq!(here, u64::from(n_experts * 2 * 4 * p.n_cols));
    }
    assert_eq!([flops, bytes], [kernel().flops(&params()), kernel().traffic(&params()).weights]);
}

#[test]
fn traffic_counts_each_expert_once() {
    let (kernel, p) = (kernel(), params());
    let row_bytes = 4 * u64::from(p.n_cols);
    // The least: both tokens have the same two experts, of two rows each.
    assert_eq!(kernel.traffic(&p).weights, 2 * 2 * row_bytes);
    assert_eq!(routed(&p, &[2, 0, 2, 1]), 3 * 2 * row_bytes);
    assert_eq!(routed(&p, &[2, 0, 2, 0]), kernel.traffic(&p).weights);
    // For one token the least is exact.
    let one = mat_vec_id::Params { n_pairs: 2, ..p };
    assert_eq!(routed(&one, &[1, 2]), kernel.traffic(&one).weights);
    assert_eq!(kernel.traffic(&p).x, 2 * row_bytes);
    assert_eq!(kernel.flops(&p), 4 * 2 * 2 * u64::from(p.n_cols));
}

#[test]
fn pairs_are_sorted_by_expert() {
    let params = group_by_expert::Params { n_pairs: 5, n_experts: 4 };
    let mut bindings = [vec![2, 0, 2, 1, 0], vec![9; 5], vec![9; 5]];
    run(GroupByExpert { workgroup_size: 64 }, &params, &mut bindings);
    assert_eq!(bindings[1..], [[1, 4, 3, 0, 2], [0, 2, 3, 5, 5]]);
}

#[test]
fn sorted_pairs_have_the_matrix_of_their_expert() {
    let weights = words(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0].map(row).concat());
    let kernel = MatMulId::new(Format::SINGLE, WeightLayout::Plain, &Caps::webgpu());
    let p: mat_mul_id::Params = bytemuck::cast(params());
    // Experts 2, 0, 2 and 1.
    let (order, starts) = (vec![1, 3, 0, 2], vec![0, 1, 2, 4]);
    let x = words(&[row(1.0), row(-1.0)].concat());
    let mut bindings = [weights, x, order, starts, vec![0; 8]];
    run(kernel, &p, &mut bindings);
    assert_floats(&bindings[4], &[3.0, 30.0, 1.0, 10.0, -3.0, -30.0, -2.0, -20.0]);
    let [_, _, order, starts, _] = &bindings;
    let read =
        |starts: &[u32]| kernel.traffic_given(&p, &[None, None, Some(order), Some(starts), None]).weights;
    let expert = u64::from(2 * 4 * p.n_cols);
    assert_eq!(
        [read(starts), read(&[0, 0, 0, 4]), kernel.traffic(&p).weights],
        [3 * expert, expert, 2 * expert]
    );
    // A launch with the last expert alone.
    let p = mat_mul_id::Params { expert0: 2, n_experts: 1, ..p };
    assert_eq!(kernel.traffic_given(&p, &[None, None, None, Some(starts), None]).weights, expert);
}

#[test]
fn outputs_are_added_with_their_weights() {
    // One token, two experts, four columns.
    let y = words(&[1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]);
    let mut bindings = [y, words(&[0.5, 0.25]), words(&[100.0, 0.0, 0.0, -12.0])];
    run(
        CombineExperts { workgroup_size: 64 },
        &combine_experts::Params { n_tokens: 1, n_cols: 4, top_k: 2 },
        &mut bindings,
    );
    assert_floats(&bindings[2], &[103.0, 6.0, 9.0, 0.0]);
}
