//! The files of published numbers: they are complete, ids are unique, and the experiments' rows exist.

use regex::Regex;
use ridgeline_experiment::Error;
use ridgeline_experiment::published::{Beside, Published, Requirement};
use ridgeline_experiment::verdict::{Outcome, Range, Unit};
use std::collections::HashSet;

#[test]
fn every_claim_and_table_is_whole_and_unique() {
    let all = Published::load().expect("the built-in files parse");
    assert_eq!((all.sources().len(), all.claims().len(), all.tables().len()), (4, 42, 57));
    let mut ids = HashSet::new();
    for claim in all.claims() {
        let whole =
            [&claim.id, &claim.text, &claim.test, &claim.published].iter().all(|s| !s.trim().is_empty());
        assert!(whole, "{claim:?} lacks something");
        assert!(ids.insert(claim.id.clone()), "{} is there twice", claim.id);
        let study = claim.study.split('-').next();
        assert_eq!(claim.id.split('-').next(), study, "{}: of study {}", claim.id, claim.study);
    }
    let code = Regex::new(r"^X-(INV|GAP|AG|RB|ALL)-\d+$").expect("a pattern");
    for table in all.tables() {
        assert!(ids.insert(table.id.clone()), "{} is there twice", table.id);
        assert!(table.origin == "study" || table.origin == "authors-repo", "{}: {}", table.id, table.origin);
        assert!(!table.caption.is_empty() && !table.experiment.is_empty(), "{}", table.id);
        for suspect in &table.suspect {
            assert!(code.is_match(suspect), "{}: {suspect}", table.id);
        }
    }
    for source in all.sources() {
        let claims = all.claims().iter().filter(|c| c.id.starts_with(&format!("{}-C", source.prefix)));
        assert!(claims.count() >= 8, "{} has too few claims", source.prefix);
    }
}

#[test]
fn rows_are_found_by_their_text_and_numbers() {
    let all = Published::load().expect("the built-in files parse");
    let bandwidth = all.table("GAP-T1").expect("a table");
    assert_eq!(bandwidth.units["bandwidth"], "GB/s");
    assert_eq!(bandwidth.suspect, ["X-GAP-1"]);
    let row = bandwidth.row("op", "quantised matvec 8192x8192 4-bit").expect("a row");
    assert_eq!(row.number("bandwidth"), Some(179.0));
    let batch = all.table("GAP-T10b").expect("a table").row_number("batch", 4.0).expect("a row");
    assert_eq!((batch.number("time_ms"), batch.number("vs_single_x")), (Some(13.02), Some(2.7)));
    let device = all.table("RB-T1").expect("a table").row("chip", "Apple M1 Pro").expect("a row");
    assert_eq!(device.number("bw_meas"), Some(120.03));
    assert_eq!(device.number("fp16_theo"), None, "a dash in the table is an absent key");
    assert_eq!(device.text("architecture"), Some("Unified SoC"));
    assert_eq!(device.columns().count(), 8);
}

#[test]
fn unknown_ids_are_errors_that_name_them() {
    let all = Published::load().expect("the built-in files parse");
    assert!(
        matches!(all.claim("GAP-C99"), Err(Error::UnknownPublished { kind: "claim", id }) if id == "GAP-C99")
    );
    assert!(all.table("GAP-C1").is_err(), "a claim is not a table");
    assert_eq!(all.claim("GAP-C10").expect("a claim").test, "time(batch 4)/time(batch 1)");
}

#[test]
fn every_claim_is_compared_or_says_what_it_needs() {
    let all = Published::load().expect("the built-in files parse");
    for claim in all.claims() {
        let id = &claim.id;
        assert!(claim.compare.is_empty() == claim.needs.is_some(), "{id}: exactly one of compare and needs");
        assert!(claim.beside.is_empty() || !claim.compare.is_empty(), "{id}: values beside nothing");
        assert!(!claim.prediction.why.trim().is_empty(), "{id}: a prediction has a reason");
        assert!(claim.needs.as_ref().is_none_or(|it| !it.trim().is_empty()), "{id}");
        let mut names = HashSet::new();
        for Requirement { value, range, why, .. } in &claim.compare {
            assert!(names.insert(value), "{id} compares {value} twice");
            assert!(!why.trim().is_empty(), "{id}: {value} has no reason for its range");
            let ordered = if let Range::Within(low, high) = range { low <= high } else { true };
            assert!(ordered, "{id}: {value} in {range:?}");
        }
        for beside in &claim.beside {
            assert!(names.insert(&beside.value) && !beside.why.trim().is_empty(), "{id}: {beside:?}");
        }
        let needs_device = claim.prediction.outcome == Outcome::CannotBeTested;
        assert!(
            !needs_device || claim.compare.is_empty(),
            "{id}: a comparison is predicted to be impossible"
        );
    }
}

#[test]
fn a_requirement_has_exactly_one_range() {
    let parse = |ranges: &str| {
        toml::from_str::<Requirement>(&format!("value = \"loss\"\nwhy = \"because\"\n{ranges}"))
    };
    for (text, range) in [
        ("above = 1.5", Range::Above(1.5)),
        ("below = 1.5", Range::Below(1.5)),
        ("within = [0.5, 1.5]", Range::Within(0.5, 1.5)),
        ("at_least = 1.5", Range::AtLeast(1.5)),
        ("at_most = 1.5", Range::AtMost(1.5)),
    ] {
        let expected =
            Requirement { value: "loss".to_owned(), range, unit: Unit::Plain, why: "because".to_owned() };
        assert_eq!(parse(text).expect("one range"), expected);
    }
    let share = parse("above = 0.1\nunit = \"share\"").expect("a share");
    assert_eq!(
        (share.unit.show(0.386), share.unit.range(share.range)),
        ("38.6 %".into(), "more than 10 %".into())
    );
    assert!(parse("above = 0.1\nunit = \"furlongs\"").is_err());
    let two = parse("above = 1.0\nbelow = 2.0").expect_err("two ranges").to_string();
    assert!(two.contains("loss has 2 ranges; give one of above, below, within"), "{two}");
    assert!(parse("").expect_err("no range").to_string().contains("0 ranges"));
    assert!(parse("abvoe = 1.0").is_err() && parse("within = [1.0]").is_err());
    let predicted = parse("above = 1.0\npredicted = \"holds\"").expect_err("the claim has it").to_string();
    assert!(predicted.contains("loss has a predicted outcome"), "{predicted}");
}

#[test]
fn a_value_beside_a_verdict_has_a_range_with_a_prediction_or_neither() {
    let parse =
        |keys: &str| toml::from_str::<Beside>(&format!("value = \"loss\"\nwhy = \"because\"\n{keys}"));
    assert_eq!(parse("").expect("neither").test, None);
    let both = parse("above = 1.0\npredicted = \"does_not_hold\"").expect("both");
    assert_eq!(both.test, Some((Range::Above(1.0), Outcome::DoesNotHold)));
    for wrong in ["above = 1.0", "predicted = \"holds\""] {
        let error = parse(wrong).expect_err("one of them").to_string();
        assert!(error.contains("a range and a predicted outcome, or neither"), "{error}");
    }
    assert!(parse("above = 1.0\nbelow = 2.0\npredicted = \"holds\"").is_err());
}

/// The recomputed figures of GAP-C1 and GAP-C2 follow from the study's own tables.
#[test]
fn the_throughput_study_contradicts_itself() {
    let all = Published::load().expect("the built-in files parse");
    let waits = all.table("GAP-T2").expect("a table");
    let [often, once] =
        ["eval every matmul", "eval once"].map(|text| waits.row("strategy", text).expect("a row"));
    let of = |row: &ridgeline_experiment::published::Row, column| row.number(column).expect("a number");
    // (53.8 − 6.5) ms / 223 waits = 212 µs.
    let wait_us =
        1e3 * (of(often, "time_ms") - of(once, "time_ms")) / (of(often, "evals") - of(once, "evals"));
    // 8192² weights of 4.5 bits at 179 GB/s take 211 µs, no more than one wait.
    let four_bit =
        all.table("GAP-T1").expect("a table").row("op", "quantised matvec 8192x8192 4-bit").expect("a row");
    let bytes = 8192.0 * 8192.0 * 4.5 / 8.0;
    let product_us = bytes / (of(four_bit, "bandwidth") * 1e3);
    let recomputed = |id: &str| all.claim(id).expect("a claim").recomputed.clone().expect("figures");
    assert!(recomputed("GAP-C1").contains(&format!("take {product_us:.0} µs")), "{product_us}");
    assert!(recomputed("GAP-C1").contains(&format!("({wait_us:.0} to ")), "{wait_us}");
    assert!(recomputed("GAP-C2").contains(&format!("costs {wait_us:.0} µs")), "{wait_us}");
}
