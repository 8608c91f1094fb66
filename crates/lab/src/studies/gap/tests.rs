//! The values of the throughput-gap study on synthetic records.

use super::gap_8::{preference, spread};
use super::gap_12::deviation;
use crate::synthetic::{launches, pass, product, visit};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::Block;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::probe::{Ceiling, StreamCurve};
use ridgeline_roofline::{Cost, Curve, Machine, Measured, Sample};
use serde_json::{Value, json};

fn chapter(study: &Study, records: &[Record]) -> Chapter {
    let (published, machine) = (Published::load().expect("published"), Machine::flat("here", 20e9, 1e12));
    let machine = machine.expect("positive");
    (study.conclude)(&Data::new(records, Some(&machine), &published)).expect("they deserialize")
}

/// The only value of a name, which the study has declared, with its number of cells.
fn value(study: &Study, records: &[Record], name: &str) -> f64 {
    assert!(study.values.contains(&name), "{name} is not declared");
    let chapter = chapter(study, records);
    let all: Vec<_> = chapter.values.iter().filter(|it| it.name == name).collect();
    let [one] = all[..] else { panic!("{name}: {all:?}") };
    assert!(one.visits == 3 && !one.evidence.is_empty() && one.value.lo <= one.value.value, "{one:?}");
    one.value.value
}

fn is(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.02 * expected.abs().max(0.1), "{found} is not {expected}");
}

fn decode(format: &str, depth: u64) -> Value {
    json!({ "model": "qwen3-0.6b", "format": format, "work": "tg8", "depth": depth })
}

/// Cost of eight tokens that read so many bytes of weights and of the KV cache each.
fn cost(weights: u64, kv: u64) -> Cost {
    Cost { weights: 8 * weights, kv_read: 8 * kv, launches: 80, ..Cost::ZERO }
}

#[test]
fn depth_costs_rate_and_may_raise_efficiency() {
    let records = [
        pass(&decode("mlx4_g64", 64), 0.08, cost(100_000_000, 0)),
        pass(&decode("mlx4_g64", 4096), 0.1, cost(100_000_000, 50_000_000)),
        // A model with no more than the short depth, which the claim does not compare.
        pass(
            &json!({ "model": "wide", "format": "mlx4_g64", "work": "tg8", "depth": 64 }),
            0.2,
            cost(400_000_000, 0),
        ),
    ]
    .concat();
    is(value(&super::gap_4::STUDY, &records, "loss_4096"), 0.2);
    // 150 MB in 12.5 ms over 100 MB in 10 ms; with the cache counted twice, 200 MB.
    is(value(&super::gap_6::STUDY, &records, "efficiency_4096_over_64"), 1.2);
    is(value(&super::gap_6::STUDY, &records, "efficiency_4096_over_64_f32_kv"), 1.6);
}

#[test]
fn eight_bits_lose_rate_and_gain_bandwidth() {
    let records = [
        pass(&decode("mlx4_g64", 64), 0.08, cost(100_000_000, 0)),
        pass(&decode("mlx8_g64", 64), 0.1, cost(180_000_000, 0)),
    ]
    .concat();
    is(value(&super::gap_11::STUDY, &records, "rate_loss_8bit"), 0.2);
    is(value(&super::gap_11::STUDY, &records, "bandwidth_gain_8bit"), 1.8 / 1.25 - 1.0);
}

#[test]
fn efficiency_and_remainder_are_compared_over_sizes() {
    let model = |name: &str, seconds: f64, weights: u64| {
        let point = json!({ "model": name, "format": "mlx4_g64", "work": "tg8", "depth": 64 });
        pass(&point, seconds, cost(weights, 0))
    };
    // At 20 GB/s, 100 and 400 MB take 5 and 20 ms; the steps take 10 and 30 ms.
    let records = [model("small", 0.08, 100_000_000), model("large", 0.24, 400_000_000)].concat();
    is(value(&super::gap_7::STUDY, &records, "efficiency_larger_over_smaller"), 4.0 / 3.0);
    is(value(&super::gap_8::STUDY, &records, "rest_largest_over_smallest"), 2.0);
    let cut = [records, model("mistral-7b@2", 0.1, 200_000_000)].concat();
    let names = chapter(&super::gap_7::STUDY, &cut).values;
    assert!(names.iter().all(|it| !it.what.contains('@')), "a model with fewer layers is no size: {names:?}");
}

#[test]
fn a_wait_is_the_difference_over_the_further_submissions() {
    let ablated = json!({ "ablate": ["embed", "norm", "rope", "kv-write", "attention", "head"] });
    let point = |submission: &str, switches: &Value| {
        let mut point = decode("mlx4_g64", 64);
        (point["submission"], point["switches"], point["wait"]) =
            (submission.into(), switches.clone(), true.into());
        point
    };
    // Ten launches a token: nine further waits of 100 µs are 0.9 ms a token.
    let chain =
        |submission: &str, seconds: f64| pass(&point(submission, &ablated), seconds, cost(100_000_000, 0));
    let records = [chain("pass", 0.08), chain("launch", 0.08 + 8.0 * 9.0 * 1e-4)].concat();
    let study = &super::gap_2::STUDY;
    is(1e4 * value(study, &records, "wait_s"), 1.0);
    assert!(
        chapter(study, &records).values.iter().all(|it| it.name != "chain_over_copy"),
        "no layers were cut"
    );
    let whole = |point: Value, seconds: f64| pass(&point, seconds, cost(100_000_000, 0));
    let step = [whole(decode("mlx4_g64", 64), 0.08), whole(point("launch", &json!({})), 0.24)].concat();
    is(value(&super::gap_3::STUDY, &step, "isolated_over_step"), 3.0);
}

#[test]
fn shares_of_the_parts_sum_to_one() {
    let fusions = json!(["qkv", "residual", "gate-up"]);
    let point = |ablate: &[&str]| {
        let mut point = decode("mlx4_g64", 256);
        point["switches"] = json!({ "fusions": fusions, "ablate": ablate });
        point
    };
    let parts: [(&[&str], f64); 7] = [
        (&["embed"], 0.05),
        (&["norm"], 0.1),
        (&["projection"], 0.2),
        (&["rope"], 0.04),
        (&["attention", "kv-write"], 0.25),
        (&["mlp"], 0.3),
        (&["head"], 0.06),
    ];
    let mut records = pass(&point(&[]), 0.08, cost(1, 0));
    for (ablate, share) in parts {
        records.extend(pass(&point(ablate), 0.08 * (1.0 - share), cost(1, 0)));
    }
    let study = &super::gap_9::STUDY;
    is(value(study, &records, "share_sum"), 1.0);
    is(value(study, &records, "share_norm"), 0.1);
    is(value(study, &records, "share_rope"), 0.04);
    is(value(study, &records, "share_attention_and_mlp"), 0.55);
    let mut clock = json!({ "model": "qwen3-0.6b", "format": "mlx4_g64", "tokens": 1, "depth": 256 });
    clock["switches"] = json!({ "fusions": fusions });
    let modules = [
        ("embed", 0.5),
        ("attn_norm, ffn_norm, output_norm", 1.0),
        ("qkv", 2.0),
        ("rope", 0.4),
        ("attention", 2.5),
        ("gate_up", 3.0),
        ("sampling", 0.6),
    ];
    records.extend(launches(&clock, &modules));
    let chapter = chapter(study, &records);
    let table =
        chapter.blocks.iter().find_map(|it| if let Block::Table(table) = it { Some(table) } else { None });
    let agree: Vec<&str> = table.expect("shares").rows.iter().map(|row| row[4].as_str()).collect();
    assert_eq!(agree.len(), 7);
    assert!(agree[1] == "yes" && agree[6] == "–", "norms agree, the head has no launch clock: {agree:?}");
    records.truncate(3 * 7);
    let values = self::chapter(study, &records).values;
    assert!(values.iter().all(|it| it.name != "share_sum"), "a sum needs all parts");
}

#[test]
fn fused_kernels_are_compared_with_unfused_ones() {
    let point = |path: &str| json!({ "shape": "4096x4096", "format": "Q8_0", "vectors": 1, "path": path });
    let records =
        [product(&point("fused"), 1e-3, 16_000_000), product(&point("dequantized"), 3e-3, 16_000_000)]
            .concat();
    is(value(&super::gap_5::STUDY, &records, "qmm_speedup"), 3.0);
    let attention = |depth: u64, unfused: bool, seconds: f64| {
        let mut point = json!({ "model": "m", "format": "f16", "tokens": 1, "depth": depth });
        if unfused {
            point["switches"] = json!({ "attention": "unfused" });
        }
        launches(&point, &[("attention", seconds), ("qkv", 1e-3)])
    };
    let records = [
        attention(64, false, 1e-4),
        attention(64, true, 1.5e-4),
        attention(4096, false, 1e-3),
        attention(4096, true, 3e-3),
    ]
    .concat();
    is(value(&super::gap_5::STUDY, &records, "sdpa_gain_long_over_short"), 2.0);
}

#[test]
fn batches_are_compared_with_one_token() {
    let verify = |n: usize, seconds: f64| {
        let point = json!({ "model": "m", "format": "f16", "work": format!("verify{n}"), "depth": 64 });
        pass(&point, seconds, Cost { weights: 1_000_000, flops: 2_000_000, ..Cost::ZERO })
    };
    let records = [verify(1, 0.01), verify(4, 0.015), verify(5, 0.02)].concat();
    is(value(&super::gap_10::STUDY, &records, "t4_over_t1"), 1.5);
    is(value(&super::gap_10::STUDY, &records, "t5_over_t1"), 2.0);
    // The ridge of 1e12 / 20e9 over an intensity of two.
    is(value(&super::gap_10::STUDY, &records, "ridge_batch"), 25.0);
}

#[test]
fn the_two_loops_are_compared_phase_by_phase() {
    let point = json!({ "model": "m", "format": "f16", "prompt": 32, "tokens": 16 });
    let times = |first: u64, decode: u64| json!([{ "first_ns": first, "decode_ns": decode }]);
    let row = json!({ "by_hand": times(3_000_000, 11_000_000), "streaming": times(2_000_000, 10_000_000) });
    let records: Vec<Record> =
        (0..3).map(|round| visit("generate", &point, row.clone(), round, &[0.012])).collect();
    let study = &super::gap_12::STUDY;
    is(value(study, &records, "manual_over_builtin_decode"), 1.1);
    is(value(study, &records, "manual_over_builtin_ttft"), 1.5);
    is(value(study, &records, "ttft_deviation_minus_decode_deviation"), 0.4);
}

#[test]
fn the_whole_chain_follows_from_two_numbers_of_layers() {
    let ablated = json!({ "ablate": ["embed", "norm", "rope", "kv-write", "attention", "head"] });
    let chain = |layers: u64, submission: &str| {
        let mut point = decode("mlx4_g64", 64);
        point["model"] = format!("mistral-7b@{layers}").into();
        (point["submission"], point["switches"], point["wait"]) =
            (submission.into(), ablated.clone(), true.into());
        // A token has 10 ms of fixed cost, and 5 ms for the 100 MB of each layer.
        pass(&point, 8.0 * (0.01 + 0.005 * layers as f64), cost(100_000_000 * layers, 0))
    };
    let records = [chain(2, "pass"), chain(2, "launch"), chain(6, "pass"), copy(20e9)].concat();
    // All 32 layers: 3.2 GB in 170 ms, over a copy of 20 GB/s.
    is(value(&super::gap_2::STUDY, &records, "chain_over_copy"), 3.2 / 0.17 / 20.0);
}

/// Three visits of a copy at this rate.
fn copy(rate: f64) -> Vec<Record> {
    let measured = Measured { value: rate, lo: 0.99 * rate, hi: 1.01 * rate };
    let curve = Curve::new(vec![Sample { bytes: 1_000_000_000, rate: measured }]).expect("one point");
    let (variants, blocks) = (Vec::new(), vec![vec![rate; 8]]);
    let ceiling = Ceiling::Copy(StreamCurve { curve, variants, blocks, timestamp_ratio: None, drift: None });
    let point = json!({ "quantity": "copy" });
    (0..3).map(|round| visit("ceilings", &point, json!({ "ceiling": ceiling }), round, &[0.05])).collect()
}

#[test]
fn launches_and_constants_are_told_apart() {
    let rests = |per_launch: f64, constant: f64| {
        let rest = |i: i32| {
            let launches = f64::from(100 * i);
            let noise = 1e-6 * f64::from(i * i % 3);
            (Measured::exact(constant + per_launch * launches + noise), launches)
        };
        (1..=6).map(rest).collect::<Vec<_>>()
    };
    assert!(preference(&rests(1e-5, 0.0)).is_some_and(|it| it > 10.0));
    assert!(preference(&rests(0.0, 4e-3)).is_some_and(|it| it < -10.0));
    is(spread(&rests(1e-5, 0.0)).expect("above zero").value, 6.0);
    let open = spread(&[(Measured { value: 1e-3, lo: -1e-3, hi: 2e-3 }, 1.0), (Measured::exact(4e-3), 1.0)]);
    assert!(open.is_some_and(|it| it.hi == f64::INFINITY && it.lo == 2.0), "{open:?}");
    assert_eq!(spread(&rests(0.0, -1e-3)), None);
}

#[test]
fn deviations_are_distances_from_one() {
    let m = |value, lo, hi| Measured { value, lo, hi };
    let slower = deviation(m(1.5, 1.25, 2.0));
    assert_eq!((slower.value, slower.lo, slower.hi), (0.5, 0.25, 1.0));
    let faster = deviation(m(0.5, 0.25, 0.75));
    assert_eq!((faster.value, faster.lo, faster.hi), (0.5, 0.25, 0.75));
    let neither = deviation(m(1.0, 0.5, 1.25));
    assert_eq!((neither.lo, neither.hi), (0.0, 0.5));
}
