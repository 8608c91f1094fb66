//! The values of `RooflineBench` on synthetic records.

use super::rb_5::STUDY;
use crate::synthetic::pass;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_roofline::{Cost, Measured};
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
    let mut records = pass(&point, 1e-3 * (9 + layers) as f64, cost);
    records.iter_mut().for_each(|r| r.studies = vec![STUDY.id.to_owned()]);
    records
}

fn values(layers: &[u64]) -> Vec<(&'static str, Measured)> {
    let records: Vec<Record> = layers.iter().flat_map(|n| records(*n)).collect();
    let published = Published::load().expect("published numbers");
    let chapter = (STUDY.conclude)(&Data::new(&records, None, &published)).expect("they deserialize");
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
