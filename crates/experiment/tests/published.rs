//! The files of published numbers: they are complete, ids are unique, and the experiments' rows exist.

use regex::Regex;
use ridgeline_experiment::Error;
use ridgeline_experiment::published::Published;
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
