//! Studies that compare devices, on synthetic records of two.

use super::studies;
use crate::synthetic::{pass, visit};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_roofline::{Cost, Machine};
use serde_json::json;

/// Values of a study from records of a fast device beside those of a slow one.
fn values(id: &str, [fast, slow]: [Vec<Record>; 2]) -> Vec<(&'static str, f64)> {
    let mark = |mut records: Vec<Record>| {
        records.iter_mut().for_each(|r| r.studies = vec![id.to_owned()]);
        records
    };
    let [fast, slow] = [mark(fast), mark(slow)];
    let machine = |name, bandwidth| Machine::flat(name, bandwidth, 1e12).expect("positive");
    let machines = [machine("fast", 40e9), machine("slow", 10e9)];
    let published = Published::default();
    let all = studies();
    let study = all.iter().find(|it| it.id == id).expect("a study");
    let own = Data::new(&fast, Some(&machines[0]), &published);
    let alone = (study.conclude)(&own).expect("they deserialize");
    assert!(alone.values.is_empty(), "one device compares nothing");
    let both = own.beside(vec![Data::new(&slow, Some(&machines[1]), &published)]);
    let chapter = (study.conclude)(&both).expect("they deserialize");
    assert_eq!(chapter.blocks.len(), 1);
    chapter.values.iter().map(|it| (it.name, it.value.value)).collect()
}

/// Sixteen tokens, each of which reads 10 MB.
fn generation(seconds: f64) -> Vec<Record> {
    let point = json!({ "model": "m", "format": "f16", "work": "tg16", "depth": 0 });
    pass(&point, seconds, Cost { weights: 160_000_000, flops: 160_000_000, ..Cost::ZERO })
}

#[test]
fn rates_are_compared_with_bandwidths() {
    // Four times the bandwidth, and three times the rate.
    let found = values("AG-5", [generation(0.01), generation(0.03)]);
    let [("rate_ratio_over_bandwidth_ratio", ratio)] = found[..] else { panic!("{found:?}") };
    assert!((ratio - 0.75).abs() < 1e-6, "{ratio}");
}

#[test]
fn ridges_and_use_are_compared() {
    // The roofs are 4 and 16 ms: 40 % of the fast device are used, and 80 % of the slow one.
    let found = values("RB-8", [generation(0.01), generation(0.02)]);
    let [("utilization_ratio", used), ("ridge_ratio", ridge)] = found[..] else { panic!("{found:?}") };
    assert!((used - 2.0).abs() < 1e-6 && (ridge - 4.0).abs() < 1e-6, "{used} {ridge}");
}

#[test]
fn texts_are_equal_until_their_first_difference() {
    let texts = |ids: [[u32; 4]; 2]| {
        let point = json!({ "model": "m", "format": "stored", "tokens": 4 });
        vec![visit("tokens", &point, json!({ "ids": ids }), 0, &[])]
    };
    let found = values("AG-13", [texts([[1, 2, 3, 4], [5, 6, 7, 8]]), texts([[1, 2, 3, 4], [5, 9, 7, 8]])]);
    assert_eq!(found, [("equal_tokens", 5.0 / 8.0)]);
}
