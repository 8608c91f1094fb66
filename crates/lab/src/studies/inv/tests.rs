//! The values of the inversion study on synthetic records.

use super::{inv_1, inv_2, inv_3, inv_4, inv_5, inv_7, inv_8, inv_9};
use crate::measures::operation::nanoseconds;
use crate::synthetic::{pass, product, visit};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::{Block, Table};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::{Cost, Machine};
use serde_json::{Value, json};

fn chapter(study: &Study, records: &[Record]) -> Chapter {
    let published = Published::load().expect("published numbers");
    let machine = Machine::flat("here", 10e9, 1e12).expect("positive");
    (study.conclude)(&Data::new(records, Some(&machine), &published)).expect("they deserialize")
}

/// A product of width `n` with `m` vectors in BF16.
fn records(n: u64, m: u64, seconds: f64) -> Vec<Record> {
    let point = json!({ "shape": format!("{n}x{n}"), "format": "BF16", "vectors": m, "path": "fused" });
    let mut records = product(&point, seconds, 2 * n * n);
    for record in &mut records {
        record.studies = vec!["INV-2".to_owned(), "INV-8".to_owned()];
        record.row["flops"] = json!(2 * n * n * m);
    }
    records
}

fn table(chapter: &Chapter) -> &Table {
    let [Block::Table(table)] = &chapter.blocks[..] else { panic!("{chapter:?}") };
    table
}

#[test]
fn shares_of_peak_are_compared_by_work_over_time() {
    // 382 MFLOP in 4 ms and 17.2 GFLOP in 90 ms: 95.6 and 190.9 GFLOP/s.
    let all = [records(576, 576, 4e-3), records(2048, 2048, 0.09)].concat();
    let found = chapter(&inv_2::STUDY, &all);
    let names: Vec<&str> = found.values.iter().map(|it| it.name).collect();
    assert_eq!(names, inv_2::STUDY.values);
    let work = (576.0_f64 / 2048.0).powi(3);
    for (value, expected) in found.values.iter().zip([work * 0.09 / 4e-3, work * 0.0901 / 4.1e-3]) {
        let m = value.value;
        assert!((m.value / expected - 1.0).abs() < 0.02 && m.lo <= m.value && m.value <= m.hi, "{value:?}");
        assert_eq!((value.visits, value.evidence.len()), (3, 2));
    }
    assert_eq!(table(&found).rows[0][5], "9.5 %", "95.5 GFLOP/s of 1 TFLOP/s");
    assert!(chapter(&inv_2::STUDY, &all[..3]).values.is_empty(), "one width has nothing to compare with");
}

#[test]
fn a_mat_vec_is_bound_by_memory() {
    // 8.39 MB of weights and 16 KiB of activations in 1 ms, at a bandwidth of 10 GB/s and a peak of 1 TFLOP/s.
    let found = chapter(&inv_8::STUDY, &records(2048, 1, 1e-3));
    let row = &table(&found).rows[0];
    assert_eq!((&*row[0], &*row[3], &*row[8]), ("1 × 2048 × 2048", "0.998", "memory"));
    assert_eq!((&*row[5], &*row[7]), ("84.0 %", "84.0 %"), "8.405 MB in 1 ms");
    let many = chapter(&inv_8::STUDY, &records(2048, 2048, 0.09));
    assert_eq!(table(&many).rows[0][8], "compute");
}

const SMALL: &str = "smollm2-135m@5";
const LARGE: &str = "smollm2-1.7b@4";

fn point(model: &str, format: &str, work: &str) -> Value {
    json!({ "model": model, "format": format, "work": work, "depth": 0, "submission": "pass", "stamps": true })
}

/// Three visits of a forward pass that an experiment wants, with its times by completion and by the encode clock.
fn timed(study: &str, point: &Value, complete_s: f64, encode_s: f64, cost: Cost) -> Vec<Record> {
    let mut records = pass(point, complete_s, cost);
    for record in &mut records {
        // INV-3 fits all cells of its own, and prints those of INV-1.
        record.studies = vec![study.to_owned(), "INV-1".to_owned()];
        record.row["pass"]["encode_ns"] = json!(nanoseconds(&[encode_s]));
    }
    records
}

fn values(chapter: &Chapter, name: &str) -> Vec<f64> {
    chapter.values.iter().filter(|it| it.name == name).map(|it| it.value.value).collect()
}

fn are(found: &[f64], expected: &[f64]) {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 0.02 * b.abs();
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(near),
        "{found:?} are not {expected:?}"
    );
}

fn texts(chapter: &Chapter) -> String {
    let text = |block: &Block| if let Block::Text(text) = block { text.clone() } else { String::new() };
    chapter.blocks.iter().map(text).collect()
}

#[test]
fn an_inversion_may_be_of_the_encode_clock_alone() {
    let of = |model, work, complete, encode| {
        timed("INV-1", &point(model, "bf16", work), complete, encode, Cost::ZERO)
    };
    let records = [
        of(SMALL, "tg1", 2e-3, 1.2e-4),
        of(LARGE, "tg1", 20e-3, 1e-4),
        of(SMALL, "pp10", 5e-3, 1.3e-4),
        of(LARGE, "pp10", 10e-3, 1e-4),
        // Another share of the layers is no pair, nor are other switches.
        of("smollm2-1.7b@5", "pp20", 1e-3, 1e-4),
        of(SMALL, "pp20", 1e-3, 1e-4),
    ]
    .concat();
    let found = chapter(&inv_1::STUDY, &records);
    are(&values(&found, "slowdown_complete"), &[-0.9, -0.5]);
    are(&values(&found, "slowdown_encode"), &[0.2, 0.3]);
    assert!(values(&found, "slowdown_device").is_empty(), "the device has no timestamps");
    assert_eq!(found.values[0].what, "bf16, 1 token");
    let [Block::Table(slowdowns), Block::Table(times)] = &found.blocks[..] else { panic!("{found:?}") };
    assert_eq!((&*slowdowns.rows[0][1], &*slowdowns.rows[1][1]), ("–", "21.3 %"));
    assert!(slowdowns.rows[1][2].starts_with("30.0 % ["), "{slowdowns:?}");
    // The published time of the small model at 10 tokens; rows are by length, the small model first.
    assert_eq!((&*times.rows[2][2], &*times.rows[3][2]), ("740 µs", "610 µs"));
    assert_eq!((&*times.rows[2][3], &*times.rows[2][5]), ("130 µs", "–"));
}

#[test]
fn a_deep_shape_with_fewer_parameters_may_be_slower() {
    let of = |model: &str, params: u64, seconds: f64, launches: u64| {
        let cost = Cost { weights: 4 * 2 * params, launches: 4 * launches, ..Cost::ZERO };
        let point =
            json!({ "model": model, "format": "bf16", "work": "tg4", "depth": 0, "submission": "pass" });
        let mut records = timed("INV-1", &point, seconds, 1e-4, cost);
        records.iter_mut().for_each(|record| record.row["pass"]["params"] = json!(params));
        records
    };
    let records =
        [of("bench-18m@1x1024", 19_000_000, 8e-3, 12), of("bench-18m@64x128", 17_000_000, 80e-3, 500)]
            .concat();
    let found = chapter(&inv_1::STUDY, &records);
    let [Block::Table(grid), Block::Text(text)] = &found.blocks[..] else { panic!("{found:?}") };
    assert_eq!((&*grid.rows[0][0], &*grid.rows[0][6]), ("64x128", "1x1024"));
    assert_eq!(grid.rows[1][6], "", "the larger model is no inversion");
    assert!(
        text.contains("bench-18m@64x128 with 17.0 M parameters takes 10.00 [") && text.contains("19.0 M"),
        "{text}"
    );
    // Launches are free on this machine, so that the bytes alone are predicted.
    assert!(text.ends_with("The ceilings predict 0.89."), "{text}");
}

/// Forward passes with exact costs: 50 µs a launch, 0.1 ns a byte, 20 ps a FLOP, 0.2 ms a submission.
fn linear(model: &str, work: &str, weights: u64, launches: u64, submission: &str) -> Vec<Record> {
    let tokens: u64 = work[2..].parse().expect("tokens");
    let cost = Cost { weights, flops: tokens * weights, launches, ..Cost::ZERO };
    let submissions = if submission == "launch" { launches } else { 1 };
    let seconds = 5e-5 * launches as f64
        + 1e-10 * weights as f64
        + 2e-11 * cost.flops as f64
        + 2e-4 * submissions as f64;
    let mut point = point(model, "bf16", work);
    point["submission"] = submission.into();
    if submission == "launch" {
        point["wait"] = true.into();
    } else if launches > 60 {
        point["switches"] = json!({ "fusions": [] });
    }
    timed("INV-3", &point, seconds, 1e-6 * launches as f64, cost)
}

#[test]
fn costs_of_launches_are_fitted_and_compared_with_the_gap() {
    let model = |name, weights, launches| {
        let of = |work, launches, submission| linear(name, work, weights, launches, submission);
        [
            of("tg1", launches, "pass"),
            of("pp10", launches, "pass"),
            of("tg1", 2 * launches, "pass"),
            of("tg1", launches, "launch"),
        ]
        .concat()
    };
    let records = [model(SMALL, 50_000_000, 43), model(LARGE, 400_000_000, 35)].concat();
    let published = Published::load().expect("published numbers");
    let mut machine = Machine::flat("here", 10e9, 50e9).expect("positive");
    machine.overheads.launch_s = ridgeline_roofline::Measured::exact(2e-6);
    let found =
        (inv_3::STUDY.conclude)(&Data::new(&records, Some(&machine), &published)).expect("they deserialize");
    let [Block::Table(costs), Block::Text(text), Block::Table(shares), Block::Table(gaps)] =
        &found.blocks[..]
    else {
        panic!("{found:?}")
    };
    // Visits of a synthetic pass deviate by a percent from its seconds.
    let fitted: Vec<&str> = costs.rows.iter().map(|row| row[1].as_str()).collect();
    assert!(fitted[0].starts_with("50.") && fitted[0].ends_with(" µs"), "{fitted:?}");
    assert!(fitted[1].starts_with("100 ps") || fitted[1].starts_with("101 ps"), "{fitted:?}");
    assert!(fitted[2].starts_with("20.") && fitted[3].starts_with("20"), "{fitted:?}");
    assert_eq!(
        (&*costs.rows[0][3], &*costs.rows[1][3], &*costs.rows[2][3]),
        ("2.00 µs", "100 ps", "20.0 ps")
    );
    assert!(text.starts_with("The fit explains 100.0 % of the variance of 8 cells."), "{text}");
    assert_eq!((shares.rows.len(), gaps.rows.len()), (4, 2), "plain passes, and their pairs");
    // 8 launches of 50 µs, where the small model is 8·50 µs − 350 MB·0.12 ns = −41.6 ms slower.
    are(&values(&found, "launch_share_of_gap"), &[-4e-4 / 0.0416, -4e-4 / (0.035 + 0.07 - 4e-4)]);
    assert_eq!((&*gaps.rows[0][1], &*gaps.rows[0][4]), ("8.00", "-1.0 %"));
    // Three launches of 2 µs over the 8 µs that the host encodes longer.
    are(&values(&found, "launch_share_of_gap_by_study"), &[0.75, 0.75]);
    let few = &records[..6];
    assert!(chapter(&inv_3::STUDY, few).values.is_empty(), "two cells do not tell four costs apart");
}

#[test]
fn the_length_from_which_time_grows_is_named() {
    let of = |work, seconds| timed("INV-4", &point(SMALL, "bf16", work), seconds, 1e-4, Cost::ZERO);
    let records = [of("tg1", 1e-3), of("pp2", 1.4e-3), of("pp10", 2.5e-3), of("pp100", 20e-3)].concat();
    let found = chapter(&inv_4::STUDY, &records);
    assert!(texts(&found).starts_with("smollm2-135m@5: from 10 tokens on"), "{found:?}");
    let Some(Block::Table(table)) = found.blocks.first() else { panic!("{found:?}") };
    assert_eq!((&*table.rows[2][4], &*table.rows[2][6], &*table.rows[2][7]), ("2.50", "740 µs", "–"));
    let Some(Block::Lines(figure)) = found.blocks.get(1) else { panic!("{found:?}") };
    assert_eq!(figure.lines.iter().map(|line| line.points.len()).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn precisions_are_ordered_by_the_ratio_of_times() {
    let of = |model, format, seconds, encode| {
        timed("INV-5", &point(model, format, "pp20"), seconds, encode, Cost::ZERO)
    };
    let records = [
        of(SMALL, "f32", 4e-3, 1.2e-4),
        of(LARGE, "f32", 40e-3, 1e-4),
        of(SMALL, "bf16", 3e-3, 1.2e-4),
        of(LARGE, "bf16", 20e-3, 1e-4),
        of(SMALL, "f16", 3e-3, 1.2e-4),
        of(LARGE, "f16", 24e-3, 1e-4),
        of(SMALL, "q8_0", 3e-3, 1.2e-4),
        of(LARGE, "q8_0", 12e-3, 1e-4),
        // A decode step is in the table alone.
        timed("INV-5", &point(SMALL, "f16", "tg1"), 1e-3, 1e-4, Cost::ZERO),
        timed("INV-5", &point(LARGE, "f16", "tg1"), 2e-3, 1e-4, Cost::ZERO),
    ]
    .concat();
    let found = chapter(&inv_5::STUDY, &records);
    are(&values(&found, "slowdown_complete_by_precision"), &[-0.9, -0.875]);
    are(&values(&found, "slowdown_encode_by_precision"), &[0.2; 2]);
    are(&values(&found, "time_ratio_f16_over_bf16"), &[0.125 / 0.15]);
    are(&values(&found, "time_ratio_bf16_over_f32"), &[1.5]);
    let rows = &table(&found).rows;
    let published: Vec<&str> = rows.iter().map(|row| row[5].as_str()).collect();
    assert_eq!(published, ["39.2 %", "24.6 %", "28.5 %", "39.2 %", "–"], "8 bits are not the study's");
}

#[test]
fn captions_are_compared_with_random_tokens_by_prompt() {
    let of = |model: &str, params: u64, text: u64, random: u64| {
        let point = json!({ "model": model, "format": "stored", "prompts": "p" });
        let row = json!({ "text_ns": [text, 9 * text, text], "random_ns": [random, random, random], "tokens": 45, "params": params });
        let mut records: Vec<Record> = (0..3)
            .map(|round| visit("captions", &point, row.clone(), round, &[text as f64 * 1e-9]))
            .collect();
        records.iter_mut().for_each(|record| record.studies = vec!["INV-7".to_owned()]);
        records
    };
    let records = [of("large", 4, 3_000_000, 3_000_000), of("small", 2, 1_100_000, 1_000_000)].concat();
    let found = chapter(&inv_7::STUDY, &records);
    are(&values(&found, "time_ratio_text_over_random"), &[1.1]);
    are(&values(&found, "text_over_random"), &[1.1, 1.0]);
    let rows = &table(&found).rows;
    assert_eq!(
        (&*rows[0][0], &*rows[0][2], &*rows[0][3], &*rows[0][5]),
        ("small", "15.0", "1.10 ms", "1.1000")
    );
    assert!(
        values(&chapter(&inv_7::STUDY, &records[..3]), "time_ratio_text_over_random").is_empty(),
        "no pair"
    );
}

#[test]
fn sequences_together_win_work_over_time() {
    let of = |model: &str, sequences: u64, seconds: f64| {
        let mut point = point(model, "bf16", "tg4");
        if sequences > 1 {
            point["sequences"] = sequences.into();
        }
        // The rows of the KV cache are each sequence's own, and so are the operations.
        let cost = Cost { weights: 4000, kv_read: 100 * sequences, flops: 8000 * sequences, ..Cost::ZERO };
        timed("INV-9", &point, seconds, 1e-4, cost)
    };
    let records = [
        of(LARGE, 8, 30e-3),
        of(LARGE, 1, 20e-3),
        of(SMALL, 16, 8e-3),
        of(SMALL, 2, 2e-3),
        of(SMALL, 8, 4e-3),
        of(SMALL, 1, 2e-3),
    ]
    .concat();
    let found = chapter(&inv_9::STUDY, &records);
    are(&values(&found, "utilisation_8_over_1"), &[4.0]);
    are(&values(&found, "utilisation_16_over_1"), &[4.0]);
    let [Block::Table(table), Block::Lines(figure)] = &found.blocks[..] else { panic!("{found:?}") };
    let column = |i: usize| table.rows.iter().map(|row| row[i].as_str()).collect::<Vec<_>>();
    assert_eq!(column(1), ["1", "2", "8", "16", "1", "8"], "the small model first");
    // A quarter of four passes, and a third of a percent: visits of a synthetic pass deviate.
    assert_eq!(column(2)[..3], ["502 µs", "502 µs", "1.00 ms"]);
    // 4 · 8 tokens in 4.013 ms; an eighth of them for each.
    assert!(column(3)[2].starts_with("797") && column(4)[2].starts_with("996"), "{table:?}");
    assert!(column(7)[5].starts_with("5.33 ["), "{:?}", column(7));
    assert_eq!(figure.lines.len(), 2);
    let without_one: Vec<Record> = records.into_iter().filter(|it| it.point["sequences"] == 8).collect();
    assert!(chapter(&inv_9::STUDY, &without_one).values.is_empty(), "nothing to compare with");
}
