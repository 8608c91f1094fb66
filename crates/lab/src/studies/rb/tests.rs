//! The values of `RooflineBench` on synthetic records.

use super::rb_5::STUDY;
use super::{rb_4, rb_7, rb_9};
use crate::synthetic::{pass, visit};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::study::Study;
use ridgeline_roofline::{Cost, Machine, Measured};
use serde_json::json;

/// A model whose head takes 60 MB, 60 MFLOP and 9 ms a repetition, and each layer 10 MB, 9 MFLOP and 1 ms.
fn records(layers: u64) -> Vec<Record> {
    let point = json!({ "model": format!("shape@{layers}"), "format": "f16", "work": "tg8", "depth": 0 });
    let cost = Cost {
        weights: (60 + 10 * layers) << 20,
        flops: (60 + 9 * layers) << 20,
        launches: 80,
        ..Cost::ZERO
    };
    pass(&point, 1e-3 * (9 + layers) as f64, cost)
}

fn values(layers: &[u64]) -> Vec<(&'static str, Measured)> {
    let records: Vec<Record> = layers.iter().flat_map(|n| records(*n)).collect();
    concluded(&STUDY, records)
}

/// The values of a study that wants all of these records.
fn concluded(study: &Study, mut records: Vec<Record>) -> Vec<(&'static str, Measured)> {
    records.iter_mut().for_each(|r| r.studies = vec![study.id.to_owned()]);
    let machine = Machine::flat("here", 10e9, 1e12).expect("positive");
    let published = Published::load().expect("published numbers");
    let chapter =
        (study.conclude)(&Data::new(&records, Some(&machine), &published)).expect("they deserialize");
    assert!(chapter.values.iter().all(|it| study.values.contains(&it.name)));
    chapter.values.iter().map(|it| (it.name, it.value)).collect()
}

#[test]
fn counted_intensity_falls_and_the_published_form_peaks() {
    let all = values(&[2, 4, 8, 16, 32, 64]);
    let [(_, counted), (_, range), (_, artefact)] = all[..] else { panic!("{all:?}") };
    assert_eq!(counted, Measured::exact(2.0), "78 FLOP for 80 bytes at 2 layers are most");
    let expected = (78.0 / 80.0) / (636.0 / 700.0);
    assert!((range.value - expected).abs() < 1e-9, "{range:?}");
    // L / ((60 + 10 L)(9 + L)) peaks at the root of 6 · 9, which is 7.3: 8 on this grid.
    assert!(artefact.value == 8.0 && artefact.lo <= 8.0 && artefact.hi < 64.0, "{artefact:?}");
}

#[test]
fn two_depths_show_no_peak() {
    let names: Vec<&str> = values(&[2, 4]).iter().map(|it| it.0).collect();
    assert_eq!(names, ["intensity_max_over_min"]);
}

#[test]
fn scenarios_are_ordered_by_their_counted_intensity() {
    let count = |work: &str, flops: u64| {
        let cost = Cost { weights: 1000, flops, ..Cost::ZERO };
        let row = json!({ "cost": cost, "prompt": cost, "cut": { "measured": [1, 2], "of": 28 } });
        let point = json!({ "model": "m", "format": "f16", "work": work, "depth": 0 });
        visit("count", &point, row, 0, &[])
    };
    let records = vec![
        count("pp128+tg128", 2_000),
        count("pp4096+tg128", 60_000),
        count("pp128+tg4096", 1_000),
        count("pp4096+tg4096", 1_500),
    ];
    let all = concluded(&rb_4::STUDY, records);
    let expected = [("liso_over_lilo", 40.0), ("lilo_over_siso", 0.75), ("siso_over_silo", 2.0)];
    assert_eq!(all, expected.map(|(name, value)| (name, Measured::exact(value))));
}

#[test]
fn gains_are_compared_between_scenarios() {
    let run = |format: &str, work: &str, seconds: f64| {
        let point = json!({ "model": "m", "format": format, "work": work, "depth": 0 });
        pass(&point, seconds, Cost { weights: 1000, flops: 1000, ..Cost::ZERO })
    };
    let f16 = [("pp4+tg4", 1.0), ("pp128+tg4", 3.0), ("pp4+tg128", 20.0), ("pp128+tg128", 23.0)];
    let q4 = [("pp4+tg4", 0.5), ("pp128+tg4", 2.5), ("pp4+tg128", 12.5), ("pp128+tg128", 15.0)];
    let all = |format, runs: [(&str, f64); 4]| runs.map(|(work, s)| run(format, work, s)).concat();
    let values = concluded(&rb_7::STUDY, [all("f16", f16), all("q4_k", q4)].concat());
    let expected = [
        ("liso_gain", 1.2),
        ("silo_gain_over_liso_gain", 1.6 / 1.2),
        ("siso_gain_over_silo_gain", 2.0 / 1.6),
    ];
    assert_eq!(values.len(), expected.len());
    for ((name, value), (expected, x)) in values.iter().zip(expected) {
        assert!(*name == expected && (value.value - x).abs() < 1e-6, "{name}: {value:?}");
        assert!(value.lo < x && x < value.hi, "{name}: {value:?}");
    }
}

#[test]
fn phi_is_compared_with_the_headroom_it_stands_for() {
    // The ridge is at 100 FLOP/byte. A decode step at its roof, one at a tenth of it, and a prompt at a third of its roof.
    let run = |work: &str, bytes: u64, flops: u64, seconds: f64| {
        let point = json!({ "model": "m", "format": "f16", "work": work, "depth": 0 });
        pass(&point, seconds, Cost { weights: bytes, flops, ..Cost::ZERO })
    };
    let records = [
        run("tg1", 10_000_000_000, 10_000_000_000, 1.0),
        run("tg2", 10_000_000_000, 10_000_000_000, 10.0),
        run("pp64", 10_000_000_000, 640_000_000_000, 3.0),
    ];
    let values = concluded(&rb_9::STUDY, records.concat());
    let of = |name| values.iter().find(|it| it.0 == name).map(|it| it.1.value);
    // The step at its roof has the least headroom and is farther from the ridge than the prompt.
    assert_eq!(of("pairs_ordered_as_headroom"), Some(2.0 / 3.0));
    assert_eq!(of("pairs_ordered_as_headroom_log"), Some(2.0 / 3.0));
    // Here both units give one order.
    assert_eq!(of("pairs_ordered_alike_by_units"), Some(1.0));
}
