//! The list of experiments: one word adds one, and points and rows pass through JSON.

use ridgeline_experiment::Error;
use ridgeline_experiment::experiment::{Context, DynExperiment, RunError, find};
use ridgeline_experiment::matrix::{Axes, Budget};
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::{Build, MachineId, Record, SCHEMA, Status};
use ridgeline_roofline::check_floor;
use serde_json::json;

/// The measuring context of this test: a clock with a fixed reading.
#[derive(Debug)]
pub struct Lab {
    ns: u64,
}

mod list {
    //! The list under test. Its modules lie beside this file in `experiment/list/`.
    use super::Lab;
    ridgeline_experiment::experiments! { Lab: doubling }
}

const BUDGET: Budget = Budget { warmup: 0, min_reps: 1, max_reps: 3, budget_s: 1.0 };

fn record(point: serde_json::Value, row: serde_json::Value) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        run_id: String::new(),
        cell_id: String::new(),
        experiment: "doubling".to_owned(),
        point,
        status: Status::Ok,
        reason: None,
        row,
        samples_ns: vec![7],
        check: None,
        machine: MachineId::default(),
        build: Build::default(),
        model: None,
        argv: vec![],
        seed: 0,
        started_utc: String::new(),
        duration_s: 0.0,
    }
}

#[test]
fn a_point_is_planned_run_and_summarised() {
    let all = list::experiments();
    let study = find(&all, "doubling").expect("it is in the list");
    let points = study.plan(&Axes::new([("size".to_owned(), vec![json!(2), json!(0)])])).expect("points");
    assert_eq!(points, [json!({"size": 2}), json!({"size": 0})]);
    let mut lab = Lab { ns: 10 };
    let m = study.run(&mut lab, &points[0], &BUDGET).expect("a row");
    assert_eq!((m.row.clone(), m.samples_ns), (json!({"rate": 0.2}), vec![10, 10, 10]));
    let published = Published::load().expect("built-in files parse");
    let context = Context { machine: None, published: &published, seed: 1 };
    let mut other = record(json!("of another experiment"), json!(null));
    other.experiment = "other".to_owned();
    let records = [record(points[0].clone(), m.row), other];
    let sections = study.summarise(&records.iter().collect::<Vec<_>>(), &context).expect("a section");
    assert_eq!(sections[0].title, "Doubling");
    assert_eq!(sections[0].intro, "1 points, 0.2 in all, 1 samples");
    let broken = record(json!({"size": "two"}), json!({"rate": 0.2}));
    let error = study.summarise(&[&broken], &context).expect_err("a point of another shape");
    assert!(error.to_string().starts_with("doubling point: "), "{error}");
}

#[test]
fn skipped_and_failed_cells_differ() {
    let all = list::experiments();
    let study: &dyn DynExperiment<Lab> = all[0].as_ref();
    let skipped = study.run(&mut Lab { ns: 1 }, &json!({"size": 0}), &BUDGET).expect_err("nothing to double");
    assert_eq!((skipped.status(), skipped.to_string().as_str()), (Status::Skipped, "nothing to double"));
    let shape = study.run(&mut Lab { ns: 1 }, &json!({}), &BUDGET).expect_err("no size");
    assert!(matches!(shape, RunError::Shape(Error::Json { .. })));
    let floor: RunError = check_floor(0.5, 1.0).expect_err("impossible").into();
    assert_eq!(floor.status(), Status::Failed);
    assert!(floor.to_string().contains("beats its floor"));
    let failed = RunError::failed(std::io::Error::other("device lost"));
    assert_eq!((failed.status(), failed.to_string().as_str()), (Status::Failed, "device lost"));
    let unknown = find(&all, "trebling").err().map(|e| e.to_string());
    assert_eq!(unknown.as_deref(), Some("no experiment is called \"trebling\"; there are doubling"));
}
