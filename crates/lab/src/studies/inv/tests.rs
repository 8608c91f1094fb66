//! The values of the inversion study on synthetic records.

use super::{inv_2, inv_8};
use crate::synthetic::product;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_experiment::report::{Block, Table};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Machine;
use serde_json::json;

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
