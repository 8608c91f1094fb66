//! The list of measures: one word adds one, and points and rows pass through JSON.

use ridgeline_experiment::Error;
use ridgeline_experiment::matrix::{Axes, Budget};
use ridgeline_experiment::measure::{DynMeasure, RunError, find};
use ridgeline_experiment::record::Status;
use ridgeline_roofline::check_floor;
use serde_json::json;

/// The measuring context of this test: a clock with a fixed reading.
#[derive(Debug)]
pub struct Lab {
    ns: u64,
}

mod list {
    //! The list under test. Its modules lie beside this file in `list/`.
    use super::Lab;
    ridgeline_experiment::measures! { Lab: doubling, copying }
}

const BUDGET: Budget = Budget { warmup: 0, min_reps: 1, max_reps: 3, budget_s: 1.0 };

fn sizes(values: &[i64]) -> Axes {
    Axes::new([("size".to_owned(), values.iter().map(|&it| json!(it)).collect())])
}

#[test]
fn the_list_keeps_its_order_and_finds_by_name() {
    let all = list::measures();
    assert_eq!(all.iter().map(|it| it.name()).collect::<Vec<_>>(), ["doubling", "copying"]);
    assert_eq!(find(&all, "copying").expect("it is in the list").name(), "copying");
    let unknown = find(&all, "trebling").err().expect("it is not in the list");
    assert!(matches!(&unknown, Error::UnknownMeasure { name, .. } if name == "trebling"), "{unknown}");
    assert_eq!(unknown.to_string(), "no measure is called \"trebling\"; there are doubling, copying");
}

#[test]
fn a_point_is_planned_and_run() {
    let all = list::measures();
    let measure = find(&all, "doubling").expect("it is in the list");
    let points = measure.plan(&sizes(&[2, 0])).expect("points");
    assert_eq!(points, [json!({"size": 0}), json!({"size": 2})], "in the order of the measure's own plan");
    let m = measure.run(&mut Lab { ns: 10 }, &points[1], &BUDGET).expect("a row");
    assert_eq!((m.row, m.samples_ns), (json!({"rate": 0.2}), vec![10, 10, 10]));
    let wrong = measure.plan(&sizes(&[-1])).expect_err("a size below zero");
    assert!(matches!(&wrong, Error::Json { what, .. } if what == r#"point {"size":-1}"#), "{wrong}");
}

#[test]
fn skipped_and_failed_cells_differ() {
    let all = list::measures();
    let measure: &dyn DynMeasure<Lab> = all[0].as_ref();
    let run = |point| measure.run(&mut Lab { ns: 1 }, &point, &BUDGET);
    let skipped = run(json!({"size": 0})).expect_err("nothing to double");
    assert_eq!((skipped.status(), skipped.to_string().as_str()), (Status::Skipped, "nothing to double"));
    let shape = run(json!({"size": "two"})).expect_err("no number");
    assert!(matches!(shape, RunError::Shape(Error::Json { .. })));
    assert_eq!(shape.status(), Status::Failed);
    assert!(shape.to_string().starts_with("doubling point: "), "{shape}");
    let floor: RunError = check_floor(0.5, 1.0).expect_err("impossible").into();
    assert_eq!(floor.status(), Status::Failed);
    assert!(floor.to_string().contains("beats its floor"));
    let failed = RunError::failed(std::io::Error::other("device lost"));
    assert_eq!((failed.status(), failed.to_string().as_str()), (Status::Failed, "device lost"));
}
