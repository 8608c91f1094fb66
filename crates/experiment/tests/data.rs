//! Typed rows of a device's records: visits are pooled, and intervals are of visits.

mod support;

use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::measure::Measure;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Record, Status};
use ridgeline_experiment::stats;
use ridgeline_experiment::study::Evidence;
use ridgeline_roofline::{Machine, Measured};
use serde::{Deserialize, Serialize};
use serde_json::json;

struct Pass;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    rate: Option<f64>,
}

impl Measure for Pass {
    const NAME: &'static str = "pass";
    type Point = Point;
    type Row = Row;
}

/// A visit whose row has the rate of its first repetition.
fn visit(model: &str, round: u32, samples_us: &[u64]) -> Record {
    let record = support::visit("pass", json!({ "model": model }), round, samples_us);
    Record { row: json!({ "rate": samples_us.first().map(|&us| 1e6 / us as f64) }), ..record }
}

/// Visits of one cell, one in each round, with three repetitions 1 % apart.
fn visits(model: &str, paces_us: &[u64]) -> Vec<Record> {
    (0..)
        .zip(paces_us)
        .map(|(round, &us)| visit(model, round, &[us, us * 100 / 101, us * 101 / 100]))
        .collect()
}

/// What `check` finds of the entries of these records, in order of the models.
fn with<T>(records: &[Record], check: impl FnOnce(&Data<'_>, &[Entry<'_, Point, Row>]) -> T) -> T {
    let published = Published::default();
    let data = Data::new(records, None, &published);
    let rows = data.rows::<Pass>().expect("they deserialize");
    check(&data, &rows.iter().cloned().collect::<Vec<_>>())
}

fn width(m: Measured) -> f64 {
    (m.hi / m.lo).ln()
}

#[test]
fn visits_of_a_cell_are_one_entry() {
    let mut records = [visits("a", &[1000, 1100, 1050]), visits("b", &[500])].concat();
    records.swap(0, 2);
    records.push(support::visit("launch", json!({ "model": "a" }), 0, &[7]));
    with(&records, |data, entries| {
        assert_eq!(entries.iter().map(|e| e.point.model.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((entries[0].visits(), entries[1].visits()), (3, 1));
        let rounds: Vec<u32> = entries[0].records.iter().map(|r| r.visit).collect();
        assert_eq!(rounds, [0, 1, 2], "in order of time");
        assert_eq!((&entries[0].row, entries[0].rows.len()), (&entries[0].rows[2], 3));
        assert_eq!(entries[0].record().visit, 2, "the newest");
        assert_eq!(entries[0].seconds_by_visit()[1][0], 1100e-6);
        assert_eq!(entries[0].key(), r#"pass {"model":"a"}"#);
        assert_eq!(
            entries[0].evidence(),
            Evidence { cells: vec![r#"pass {"model":"a"}"#.to_owned()], visits: 3 }
        );
        assert_eq!(data.cells().len(), 3, "cells of every measure");
        assert_eq!(data.visits()[r#"pass {"model":"a"}"#], 3);
    });
}

#[test]
fn a_cell_that_failed_twice_is_no_entry() {
    let mut records = [visits("a", &[1000, 1100]), visits("b", &[500, 510])].concat();
    let failed = |round| Record { status: Status::Failed, row: json!(null), ..visit("a", round, &[]) };
    let names = |records: &[Record]| {
        with(records, |_, entries| {
            entries.iter().map(|e| (e.point.model.clone(), e.visits())).collect::<Vec<_>>()
        })
    };
    records.push(failed(2));
    assert_eq!(names(&records), [("a".to_owned(), 2), ("b".to_owned(), 2)]);
    records.push(failed(3));
    assert_eq!(names(&records), [("b".to_owned(), 2)]);
}

#[test]
fn a_record_of_another_shape_is_an_error() {
    let mut records = visits("a", &[1000, 1100]);
    records[0].row = json!({ "rate": "fast" });
    let published = Published::default();
    let error = Data::new(&records, None, &published).rows::<Pass>().expect_err("an older visit counts, too");
    assert!(matches!(&error, Error::Json { what, .. } if what == "pass row"), "{error}");
}

#[test]
fn visits_that_disagree_widen_the_interval() {
    let steady = with(&visits("a", &[1000, 1001, 999]), |_, e| e[0].seconds()).expect("three visits");
    let moving = with(&visits("a", &[1000, 1100, 1050]), |_, e| e[0].seconds()).expect("three visits");
    assert!((steady.value / 1e-3 - 1.0).abs() < 1e-3 && (moving.value / 1.049e-3 - 1.0).abs() < 1e-2);
    assert!(width(moving) > 20.0 * width(steady), "{moving:?} {steady:?}");
    assert!(moving.lo < 1e-3 && moving.hi > 1.1e-3, "it holds every visit: {moving:?}");
    // More repetitions inside a visit do not narrow it.
    let many: Vec<Record> = (0..).zip([1000, 1100, 1050]).map(|(r, us)| visit("a", r, &[us; 500])).collect();
    let many = with(&many, |_, e| e[0].seconds()).expect("three visits");
    assert!((width(many) / width(moving) - 1.0).abs() < 0.05, "{many:?} {moving:?}");
}

#[test]
fn cells_share_the_variance_between_visits() {
    let cells: Vec<Record> = ["a", "b", "c", "d"]
        .iter()
        .zip([1000, 1005, 1010, 1015])
        .flat_map(|(m, us)| visits(m, &[us, us * 11 / 10, us]))
        .collect();
    let single = visits("single", &[2000]);
    let all = [cells.clone(), single.clone()].concat();
    with(&all, |data, entries| {
        let prior = data.prior().expect("four cells with three visits");
        let noise = data.noise().expect("a prior");
        assert!((noise - prior.variance.sqrt()).abs() < 1e-12 && (0.05..0.06).contains(&noise), "{noise}");
        let single = entries.last().expect("the single one").seconds().expect("an interval");
        assert!(
            single.lo < 0.91 * 2e-3 && single.hi > 1.09 * 2e-3,
            "one visit is as noisy as the others: {single:?}"
        );
        let expected = stats::log_interval(&entries[0].seconds_by_visit(), Some(prior));
        assert_eq!(entries[0].seconds(), expected);
    });
    with(&single, |data, entries| {
        assert!(data.prior().is_none() && data.noise().is_none(), "nothing is measured yet");
        let alone = entries[0].seconds().expect("one visit");
        assert!(
            (0.4..0.8).contains(&width(alone)),
            "10 % between visits is assumed, with 4 degrees: {alone:?}"
        );
    });
    // After the first round, only the anchor has several visits, and what is assumed is updated by them.
    let anchor = visits("a", &[1000, 1010, 1005, 1000, 1010, 1000, 1005, 1005, 1010, 1000]);
    with(&[anchor, single].concat(), |data, entries| {
        assert!(data.noise().is_some_and(|noise| noise < 0.01), "that of the anchor");
        let single = entries.last().expect("the single one").seconds().expect("one visit");
        assert!((0.1..0.4).contains(&width(single)), "a steady anchor narrows it: {single:?}");
    });
}

/// The machine changes its pace by 10 % between rounds. The ratio of two cells in the same rounds does not.
#[test]
fn cells_of_the_same_rounds_are_compared_visit_by_visit() {
    let pair = [visits("a", &[2000, 2200, 2100]), visits("b", &[1000, 1101, 1049])].concat();
    with(&pair, |data, entries| {
        let [a, b] = entries else { panic!("two cells") };
        let ratio = a.time_over(b).expect("three pairs");
        let expected = stats::log_ratio(&a.seconds_by_visit(), &b.seconds_by_visit(), data.prior());
        assert_eq!(Some(ratio), expected.map(|it| it.interval));
        assert!((ratio.value - 2.0).abs() < 0.01 && ratio.lo < 2.0 && ratio.hi > 2.0, "{ratio:?}");
        let apart = a.seconds().expect("an interval").over(b.seconds().expect("an interval"));
        assert!(width(ratio) < width(apart), "{ratio:?} {apart:?}");
        let rates = a.ratio(|row| row.rate, b, |row: &Row| row.rate).expect("three pairs");
        assert!((rates.value * ratio.value - 1.0).abs() < 1e-2, "rates are the inverse of times: {rates:?}");
        let rate = a.over_visits(|row| row.rate).expect("three visits");
        assert!((rate.value - 476.6).abs() < 1.0 && rate.lo < 455.0 && rate.hi > 500.0, "{rate:?}");
        assert!(a.over_visits(|_| None).is_none() && a.over_visits(|_| Some(-1.0)).is_none());
        let evidence = a.evidence().and(&b.evidence()).and(&a.evidence());
        assert_eq!((evidence.cells.len(), evidence.visits), (2, 3));
    });
    let unequal = [visits("a", &[2000, 2200, 2100]), visits("b", &[1000, 1101])].concat();
    with(&unequal, |_, entries| {
        let ratio = entries[0].time_over(&entries[1]).expect("not paired");
        assert!(ratio.lo < 1.9 && ratio.hi > 2.1, "without pairs the pace does not cancel: {ratio:?}");
        let evidence = entries[0].evidence().and(&entries[1].evidence());
        assert_eq!(evidence.visits, 2, "as many as the cell with the fewest");
    });
}

#[test]
fn the_anchor_counts_for_the_noise_alone() {
    let records = [visits("anchor", &[1000, 1100, 1000]), visits("a", &[500])].concat();
    let (anchor, published) = (records[0].cell_id.clone(), Published::default());
    let data = Data::new(&records, None, &published);
    let noise = data.noise().expect("that of the anchor");
    let data = data.without(&anchor);
    assert_eq!((data.noise(), data.cells().len()), (Some(noise), 1));
    let rows = data.rows::<Pass>().expect("they deserialize");
    assert_eq!(rows.iter().map(|e| e.point.model.as_str()).collect::<Vec<_>>(), ["a"]);
    let wanted: Vec<Record> =
        records.into_iter().map(|r| Record { studies: vec!["GAP-4".to_owned()], ..r }).collect();
    assert_eq!(
        Data::new(&wanted, None, &published).without(&anchor).cells().len(),
        2,
        "an experiment wants it"
    );
}

#[test]
fn the_machine_and_the_published_numbers_are_at_hand() {
    let machine = Machine::flat("here", 1e9, 1e12).expect("positive");
    let published = Published::load().expect("published numbers");
    let data = Data::new(&[], Some(&machine), &published);
    assert_eq!(data.machine().map(|it| it.name.as_str()), Some("here"));
    assert_eq!(data.published().claims().len(), published.claims().len());
    assert!(data.rows::<Pass>().expect("none").is_empty());
}
