//! The values of `RooflineBench` on synthetic records.

use super::{rb_4, rb_5, rb_6, rb_7, rb_9};
use crate::synthetic::{pass, visit};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::Block;
use ridgeline_experiment::study::{Chapter, Study};
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
    concluded(&rb_5::STUDY, records)
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

/// Generation by a kind of attention at a depth: four tokens of 100 MB of weights, with work and cache in proportion to the depth.
fn of_kind(model: &str, mla: Option<&str>, depth: u64, [row, flops]: [u64; 2], seconds: f64) -> Vec<Record> {
    let mut point =
        json!({ "model": format!("{model}-1.5b@2"), "format": "f16", "work": "tg4", "depth": depth });
    if let Some(form) = mla {
        point["switches"] = json!({ "mla": form });
    }
    let cost = Cost {
        weights: 400_000_000,
        kv_read: 8 * row * depth,
        kv_write: 8 * row,
        flops: 400_000_000 + 8 * flops * depth,
        launches: 80,
        ..Cost::ZERO
    };
    let mut records = pass(&point, seconds, cost);
    records.iter_mut().for_each(|r| r.studies = vec![rb_6::STUDY.id.to_owned()]);
    records
}

fn kinds(devices: usize) -> Chapter {
    let of = |model, mla, costs, [short, long]: [f64; 2]| {
        [of_kind(model, mla, 10, costs, short), of_kind(model, mla, 10_000, costs, long)].concat()
    };
    let records = [
        of("mha", None, [5_000, 5_000], [0.1, 0.2]),
        of("gqa", None, [1_250, 5_000], [0.1, 0.125]),
        of("mla", None, [6_250, 6_250], [0.1, 0.225]),
        of("mla", Some("absorbed"), [500, 15_000], [0.1, 0.16]),
    ]
    .concat();
    let published = Published::load().expect("published numbers");
    let data = || Data::new(&records, None, &published);
    (rb_6::STUDY.conclude)(&data().beside(vec![data(); devices - 1])).expect("they deserialize")
}

/// Values of a name, in thousandths.
fn rounded<'a>(chapter: &'a Chapter, name: &str) -> Vec<(&'a str, f64)> {
    let own = chapter.values.iter().filter(|it| it.name == name);
    own.map(|it| (&*it.what, (it.value.value * 1000.0).round() / 1000.0)).collect()
}

#[test]
fn kinds_of_attention_are_compared_at_the_longest_depth() {
    let chapter = kinds(1);
    let values = |name: &str| rounded(&chapter, name);
    let [expanded, absorbed] = ["MLA f16, expanded at 10000", "MLA f16, absorbed at 10000"];
    // MHA: 800 MFLOP over 800.04 MB; expanded MLA: 900 over 900.05; absorbed: 1600 over 440.004; GQA: 800 over 500.01.
    assert_eq!(values("intensity_mla_over_mha"), [(expanded, 1.0), (absorbed, 3.637)]);
    assert_eq!(values("intensity_mha_over_gqa"), [("MHA f16 at 10000", 0.625)]);
    // 900 MFLOP in 0.225 s over 800 in 0.2 s, and 1600 in 0.16 s.
    assert_eq!(values("performance_mla_over_mha"), [(expanded, 1.0), (absorbed, 2.5)]);
    assert_eq!(values("performance_mha_over_gqa"), [("MHA f16 at 10000", 0.625)]);
    assert_eq!(values("rate_mla_over_mha"), [(expanded, 0.889), (absorbed, 1.25)]);
    assert_eq!(values("rate_mha_over_gqa"), [("MHA f16 at 10000", 0.625)]);
    assert_eq!(values("device_mha_over_gqa"), [], "one device compares nothing");
}

#[test]
fn kinds_of_attention_are_compared_on_every_device() {
    let chapter = kinds(2);
    let here = "MHA f16 at 10000 on a device";
    assert_eq!(rounded(&chapter, "device_mha_over_gqa"), [(here, 0.625), (here, 0.625)]);
    assert_eq!(rounded(&chapter, "device_mla_over_mha").len(), 4);
    assert_eq!(rounded(&chapter, "rate_mha_over_gqa").len(), 1);
}

#[test]
fn the_cache_and_the_intensity_of_attention_are_counted() {
    let chapter = kinds(1);
    let Some(Block::Table(table)) = chapter.blocks.first() else { panic!("{:?}", chapter.blocks) };
    let row = |kind: &str, depth: &str| {
        let row = table.rows.iter().find(|row| row[0] == kind && row[1] == depth).expect("a row");
        (row[2].clone(), row[3].clone(), row[7].clone())
    };
    let is = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(row("MHA f16", "10000"), is("5.00 kB", "1.00", "0.500"));
    assert_eq!(row("GQA f16", "10000"), is("1.25 kB", "4.00", "0.800"));
    assert_eq!(row("MLA f16, absorbed", "10000"), is("500 B", "30.0", "0.625"));
    assert_eq!(row("MHA f16", "10"), is("5.00 kB", "–", "–"));
}
