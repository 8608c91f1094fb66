//! Tests of studies on synthetic ceilings.

use super::studies;
use crate::synthetic::{self, pass, product, visit};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::matrix::{Cell, Matrix};
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Build, MachineId, Record, SCHEMA, Status, utc};
use ridgeline_experiment::register;
use ridgeline_experiment::report::{Block, Table};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_experiment::verdict::{Outcome, Verdict};
use ridgeline_measure::probe::{Ceiling, MatVecRate, MatVecs, OverheadSeries, StreamCurve};
use ridgeline_roofline::{Cost, Curve, Machine, Measured, Overheads, Sample};
use ridgeline_speculative::Stats;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

fn study(id: &str) -> &'static Study {
    studies().into_iter().find(|it| it.id == id).expect("a study of the list")
}

/// One visit of a ceiling.
fn record(quantity: &str, ceiling: &Ceiling, visit: u32) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        run_id: String::new(),
        cell_id: quantity.to_owned(),
        measure: "ceilings".to_owned(),
        studies: vec!["GAP-1".to_owned(), "RB-1".to_owned()],
        visit,
        point: json!({ "quantity": quantity }),
        status: Status::Ok,
        reason: None,
        row: json!({ "ceiling": ceiling }),
        samples_ns: vec![1_000_000; 4],
        check: None,
        machine: MachineId::default(),
        build: Build::default(),
        model: None,
        argv: Vec::new(),
        seed: 0,
        started_utc: utc(600 * u64::from(visit)),
        duration_s: 1.0,
    }
}

fn m(value: f64) -> Measured {
    Measured { value, lo: 0.9 * value, hi: 1.1 * value }
}

/// A copy at 5 GB/s of a gigabyte, which takes a fifth of a second.
fn copy() -> Record {
    let curve = Curve::new(vec![Sample { bytes: 1_000_000_000, rate: m(5e9) }]).expect("one point");
    let (variants, blocks) = (Vec::new(), vec![vec![5e9; 8]]);
    let curve = StreamCurve { curve, variants, blocks, timestamp_ratio: None, drift: None };
    record("copy", &Ceiling::Copy(curve), 0)
}

/// Half a millisecond of each fixed cost.
fn overheads() -> Record {
    let cost = Measured::exact(5e-4);
    let overheads =
        Overheads { launch_s: cost, submission_s: cost, synchronisation_s: cost, readback_s: cost };
    let series = OverheadSeries { overheads, blocks: vec![[5e-4; 4]; 9], encode_s: 0.0 };
    record("overheads", &Ceiling::Overheads(series), 0)
}

/// Mat-vecs by quantization type, bits per weight, back-to-back rate and rate with one submission and wait each.
fn products(all: &[(&str, u64, f64, f64)]) -> Record {
    let product = |&(format, bits, streamed, synchronised): &(&str, u64, f64, f64)| MatVecRate {
        format: format.to_owned(),
        bytes: 8192 * 8192 / 8 * bits,
        streamed: m(streamed),
        synchronised: m(synchronised),
        blocks: vec![streamed; 8],
        synchronised_blocks: vec![synchronised; 4],
    };
    let products = all.iter().map(product).collect();
    record("matvec", &Ceiling::Matvec(MatVecs { products }), 0)
}

fn chapter(id: &str, records: &[Record], machine: Option<&Machine>) -> Chapter {
    let published = Published::load().expect("published numbers");
    (study(id).conclude)(&Data::new(records, machine, &published)).expect("they deserialize")
}

/// The verdict on GAP-C1.
fn gap_c1(records: &[Record]) -> Verdict {
    let published = Published::load().expect("published numbers");
    let data = Data::new(records, None, &published);
    let all = register::conclude(&[study("GAP-1")], &data, &[], 0.0).expect("they deserialize");
    all.verdicts.into_iter().find(|it| it.claim == "GAP-C1").expect("a verdict")
}

fn table(block: &Block) -> Option<&Table> {
    if let Block::Table(table) = block { Some(table) } else { None }
}

fn tables(chapter: &Chapter) -> Vec<&Table> {
    chapter.blocks.iter().filter_map(table).collect()
}

#[test]
fn the_order_is_that_of_synchronized_operations() {
    // Back to back, the order would hold; with one wait each, the F32 mat-vec is faster than the copy.
    let all = products(&[
        ("Q8_0", 8, 2e9, 2e9),
        ("Q4_0", 4, 1e9, 1e9),
        ("F32", 32, 3e9, 9e9),
        ("Q2_K", 2, 1e9, 9e9),
    ]);
    let it = gap_c1(&[copy(), overheads(), all]);
    assert_eq!(it.outcome, Outcome::DoesNotHold, "{}", it.because);
    // 1e9 B in 0.2 s and 1 ms are 4.975 GB/s; over 9 GB/s 0.553. Of Q4_0 and Q2_K, 4 bits are nearer to the study's 4.5.
    assert!(it.because.contains("copy_over_matvec_f32 = 0.553"), "{}", it.because);
    assert!(it.because.contains("matvec_f32_over_matvec_q4 = 9.00"), "{}", it.because);
    // Beside it, without the waits: 5 over 3, and 3 over 1.
    let beside: Vec<bool> =
        ["1.67× [", "3.00× ["].iter().map(|it_| it.beside.iter().any(|b| b.contains(it_))).collect();
    assert_eq!((it.beside.len(), beside), (2, vec![true, true]), "{:?}", it.beside);
    assert_eq!(it.evidence, ["copy", "overheads", "matvec"]);
}

#[test]
fn a_claim_about_four_bits_needs_a_4_bit_mat_vec() {
    let eight = products(&[("F32", 32, 3e9, 3e9), ("Q8_0", 8, 2e9, 2e9)]);
    let it = gap_c1(&[copy(), overheads(), eight]);
    assert_eq!(it.outcome, Outcome::CannotBeTested, "8 bits do not take the place of 4");
    assert!(
        it.because.contains("too few for what the claim compares: matvec f32 over matvec q4"),
        "{}",
        it.because
    );
    let four = products(&[("F32", 32, 3e9, 3e9), ("Q4_0", 4, 1e9, 1e9)]);
    assert_eq!(gap_c1(&[copy(), overheads(), four.clone()]).outcome, Outcome::Holds);
    let it = gap_c1(&[copy(), four.clone()]);
    assert_eq!(it.outcome, Outcome::CannotBeTested, "the copy's wait is not measured");
    assert!(
        it.because.contains("too few for what the claim compares: copy over matvec f32"),
        "{}",
        it.because
    );
    let it = gap_c1(&[overheads(), four]);
    assert!(
        it.because.contains("too few for what the claim compares: copy over matvec f32"),
        "{}",
        it.because
    );
}

#[test]
fn operations_are_beside_the_published_ones() {
    let all = products(&[("F32", 32, 3e9, 2e9), ("Q4_0", 4, 1e9, 1e9), ("Q8_0", 8, 1e9, 1e9)]);
    let chapter = chapter("GAP-1", &[copy(), overheads(), all], None);
    let rows = &tables(&chapter)[0].rows;
    let published: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(published, ["669 GB/s", "464 GB/s", "179 GB/s (4-bit)", ""]);
    assert_eq!(rows[0][2..], ["5.00 GB/s [4.50 – 5.50 GB/s]", "4.98 GB/s [4.48 – 5.47 GB/s]"]);
    let lines = chapter.blocks.iter().filter(|block| matches!(block, Block::Lines(_)));
    assert_eq!(lines.count(), 1, "the curve of the copy");
}

#[test]
fn visits_of_a_ceiling_are_joined() {
    let visit = |rate: f64, visit| {
        let product = |format: &str, bits: u64, rate: f64| MatVecRate {
            format: format.to_owned(),
            bytes: 8192 * 8192 / 8 * bits,
            streamed: m(rate),
            synchronised: m(rate),
            blocks: vec![0.99 * rate, rate],
            synchronised_blocks: vec![0.99 * rate, rate],
        };
        let products = vec![product("F32", 32, rate), product("Q4_0", 4, 1e9)];
        record("matvec", &Ceiling::Matvec(MatVecs { products }), visit)
    };
    let chapter = chapter("GAP-1", &[visit(2e9, 0), visit(3e9, 1)], None);
    let value = chapter.values.iter().find(|it| it.name == "matvec_f32_over_matvec_q4").expect("a value");
    assert_eq!((value.visits, value.evidence.as_slice()), (2, &["matvec".to_owned()][..]));
    let Measured { lo, hi, .. } = value.value;
    assert!(lo < 2.0 && hi > 3.0, "the interval covers both visits: {lo} to {hi}");
}

#[test]
fn ridges_are_recomputed_per_precision() {
    let machine = Machine::flat("here", 100e9, 1e12).expect("positive");
    let chapter = chapter("RB-1", &[copy(), overheads()], Some(&machine));
    let tables = tables(&chapter);
    let devices = tables.iter().find(|it| it.columns[0].title == "device").expect("the devices");
    let m1 = devices.rows.iter().find(|r| r[0] == "Apple M1 Pro").expect("the M1 Pro");
    // 120.03 · 1.5 = 180 GB/s, 88 % of 204.8; 4.31 and 4.61 TFLOP/s over it.
    assert_eq!(
        m1[1..],
        ["120 GB/s", "180 GB/s", "87.9 %", "4.31 TFLOP/s", "4.61 TFLOP/s", "35.83", "23.9", "25.6"]
    );
    let here = devices.rows.last().expect("a row for this device");
    assert_eq!(here[0], "this device: here");
    assert_eq!((here[2].as_str(), here[7].as_str(), here[8].as_str()), ("100 GB/s", "10.0", "–"));
    let single: Vec<&str> = tables[0].rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(
        single,
        ["copy at 953.7 MiB", "kernel launch", "queue submission", "synchronization", "readback"]
    );
}

#[test]
fn without_records_no_study_concludes_anything() {
    let mut ids = BTreeSet::new();
    let mut values = BTreeSet::new();
    for study in studies() {
        assert!(chapter(study.id, &[], None).is_empty(), "{}", study.id);
        assert!(ids.insert(study.id), "{} is there twice", study.id);
        for value in study.values {
            assert!(values.insert(value), "{}: another study has a value {value}, too", study.id);
        }
        assert!(study.question.ends_with('?') && !study.title.is_empty(), "{}", study.id);
    }
}

#[test]
fn claims_name_values_that_a_study_produces() {
    let published = Published::load().expect("published numbers");
    ridgeline_experiment::register::check(&studies(), &published).expect("every value has a study");
}

/// Three visits of a cell with invented times; none for measures whose rows are long.
fn invented(cell: &Cell) -> Vec<Record> {
    let model = cell.point["model"].as_str().unwrap_or_default();
    let sizes = [("1.7b", 1700), ("7b", 7000), ("1b", 1000), ("0.6b", 600), ("360m", 360)];
    let size: u64 = sizes.iter().find(|(name, _)| model.contains(name)).map_or(100, |it| it.1);
    let tokens = cell.point["work"].as_str().and_then(|it| it.strip_prefix("pp")?.parse().ok()).unwrap_or(1);
    let launches = if cell.point["switches"]["fusions"].is_array() { 170 } else { 80 };
    let flops = (tokens * size) << 20;
    let cost = Cost { weights: size << 20, kv_read: 1 << 20, flops, launches, ..Cost::ZERO };
    let mut records = match &*cell.measure {
        "pass" => {
            let faster = if cell.point["format"] == "q4_k" { 0.5 } else { 1.0 };
            pass(&cell.point, 1e-4 * faster * size as f64, cost)
        }
        "launch" => {
            synthetic::launches(&cell.point, &[("qkv", 1e-4), ("attention", 2e-4), ("gate_up", 3e-4)])
        }
        "operation" => product(&cell.point, 1e-3, 1 << 20),
        "captions" => {
            let params = if model == "tiny-target" { 4 } else { 2 };
            let row = json!({ "text_ns": vec![1000; 8], "random_ns": vec![1000; 8], "tokens": 120, "params": params });
            (0..3).map(|round| visit("captions", &cell.point, row.clone(), round, &[1e-6])).collect()
        }
        "speculation" => {
            // A draft that is four times as fast, and gains.
            let stats = Stats { rounds: 10, drafted: 40, accepted: 20, ..Stats::default() };
            let stats = Stats { draft_ns: 10_000_000, verify_ns: 10_000_000, ..stats };
            let rates: Vec<(&str, f64)> =
                ["code", "maths", "prose"].repeat(2).into_iter().map(|it| (it, 0.5)).collect();
            let row = json!({
                "stats": stats, "baseline_ns": [30_000_000], "speculating_ns": [20_000_000],
                "acceptance_by_prompt": rates, "generated": [30, 30],
            });
            (0..3).map(|round| visit("speculation", &cell.point, row.clone(), round, &[0.02])).collect()
        }
        "count" => {
            let cost = Cost { weights: 1 << 20, flops: 1 << 20, ..Cost::ZERO };
            vec![visit("count", &cell.point, json!({ "cost": cost, "prompt": cost, "cut": null }), 0, &[])]
        }
        "tokens" => vec![visit("tokens", &cell.point, json!({ "ids": [[1, 2, 3]] }), 0, &[])],
        _ => Vec::new(),
    };
    for record in &mut records {
        record.studies.clone_from(&cell.studies);
        if cell.measure == "pass" {
            record.row["pass"]["params"] = json!(size);
        }
    }
    records
}

#[test]
fn the_shipped_cells_hold_what_the_claims_compare() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../matrix");
    let load = |file: &str| Matrix::load(&folder.join(file)).expect("a shipped matrix parses");
    let groups =
        ["inv.toml", "gap.toml", "ag.toml", "rb.toml"].into_iter().flat_map(|file| load(file).groups);
    let cells = groups.flat_map(|g| g.axes.product().into_iter().map(|p| g.cell(p)).collect::<Vec<_>>());
    let mut records: Vec<Record> = cells.flat_map(|cell| invented(&cell)).collect();
    records.extend([copy(), overheads(), products(&[("F32", 32, 3e9, 3e9), ("Q4_0", 4, 1e9, 1e9)])]);
    let published = Published::load().expect("published numbers");
    let machine = Machine::flat("here", 20e9, 1e12).expect("positive");
    let other = Machine::flat("there", 5e9, 1e12).expect("positive");
    let data = Data::new(&records, Some(&machine), &published);
    let data = data.beside(vec![Data::new(&records, Some(&other), &published)]);
    let verdicts = register::conclude(&studies(), &data, &[], 0.0).expect("they deserialize").verdicts;
    let tested = published.claims().iter().filter(|claim| !claim.compare.is_empty()).map(|claim| &*claim.id);
    // Nothing is invented of the measures `generate` and `quality`.
    let tested: Vec<&str> =
        tested.filter(|id| !["GAP-C12", "AG-C1", "AG-C2", "AG-C3"].contains(id)).collect();
    assert!(tested.len() > 10, "{tested:?}");
    for id in tested {
        let it = verdicts.iter().find(|it| it.claim == id).expect("a verdict for every claim");
        assert!(it.outcome != Outcome::CannotBeTested, "{id}: {}", it.because);
    }
}
