//! The matrix: points, hashes, filters, shards, and the default file.

use ridgeline_experiment::Error;
use ridgeline_experiment::matrix::{Axes, Budget, Cell, Matrix, Pace, Selection};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;

const TWO: &str = r#"
[[experiment]]
name = "bench"
axes = { model = ["a", "b"], depth = [0, 256, 1024], temperature = [0.5] }
budget = { warmup = 1, min_reps = 2, max_reps = 5, budget_s = 10.0 }
check = { tokens = "abc" }
[experiment.quick]
axes = { depth = [0] }
budget = { warmup = 0, min_reps = 1, max_reps = 1, budget_s = 1.0 }
[[experiment]]
name = "slow"
budget = { warmup = 0, min_reps = 1, max_reps = 1, budget_s = 1.0 }
quick = { skip = true }
"#;

fn parse(text: &str) -> Result<Matrix, Error> {
    Matrix::parse(Path::new("m.toml"), text)
}

fn shipped() -> Matrix {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../matrix/default.toml");
    Matrix::load(&path).expect("the default matrix parses")
}

fn cells(matrix: &Matrix, pace: Pace) -> Vec<Cell> {
    matrix.at(pace).iter().flat_map(|g| g.axes.product().into_iter().map(|p| g.cell(p))).collect()
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    model: String,
    depth: u32,
    temperature: f64,
}

#[test]
fn axes_span_their_cartesian_product() {
    let groups = parse(TWO).expect("parses").at(Pace::Full);
    let points: Vec<Point> = groups[0].axes.points().expect("typed points");
    assert_eq!(points.len(), 6);
    assert_eq!(points[1], Point { model: "b".to_owned(), depth: 0, temperature: 0.5 });
    let axis = |p: fn(&Point) -> String| points.iter().map(p).collect::<HashSet<_>>().len();
    assert_eq!((axis(|p| p.model.clone()), axis(|p| p.depth.to_string())), (2, 3));
    assert_eq!(groups[1].axes.product(), [json!({})], "an experiment without axes has one point");
    let wrong = Axes::new([("model".to_owned(), vec![json!("a")])]);
    let error = wrong.points::<Point>().expect_err("two axes are missing");
    assert!(error.to_string().contains(r#"point {"model":"a"}"#), "{error}");
    assert_eq!(wrong.values("model"), [json!("a")]);
    assert!(wrong.values("depth").is_empty());
}

#[test]
fn quick_replaces_axes_and_budget() {
    let quick = parse(TWO).expect("parses").at(Pace::Quick);
    assert_eq!(quick.len(), 1, "the slow one is skipped");
    assert_eq!(quick[0].axes.product().len(), 2);
    assert_eq!(quick[0].budget.max_reps, 1);
    let full = cells(&parse(TWO).expect("parses"), Pace::Full);
    let quick = cells(&parse(TWO).expect("parses"), Pace::Quick);
    assert_eq!(full[0].point, quick[0].point);
    assert_ne!(full[0].id(), quick[0].id(), "a quick cell is not a finished full cell");
}

#[test]
fn other_models_take_the_place_of_a_matrixs() {
    let names = ["x".to_owned(), "y".to_owned(), "z".to_owned()];
    let matrix = parse(TWO).expect("parses").of_models(&names);
    for pace in [Pace::Full, Pace::Quick] {
        let groups = matrix.at(pace);
        assert_eq!(groups[0].axes.values("model"), names.clone().map(Value::from), "{pace:?}");
        assert!(groups.iter().skip(1).all(|g| g.axes.values("model").is_empty()), "no axis is added");
    }
}

#[test]
fn mistakes_in_a_matrix_are_named() {
    let empty = TWO.replace("[0, 256, 1024]", "[]");
    assert!(matches!(parse(&empty), Err(Error::EmptyAxis { axis, .. }) if axis == "depth"));
    let budget = TWO.replace("max_reps = 5", "max_reps = 1");
    assert!(matches!(parse(&budget), Err(Error::BadBudget { min_reps: 2, max_reps: 1, .. })));
    let forever = TWO.replace("budget_s = 10.0", "budget_s = inf");
    assert!(matches!(parse(&forever), Err(Error::BadBudget { .. })));
    let unknown = TWO.replace("skip = true", "skipp = true");
    assert!(matches!(parse(&unknown), Err(Error::Toml { .. })), "a misspelt key is not ignored");
    assert!(matches!(Matrix::load(Path::new("nowhere.toml")), Err(Error::Io { .. })));
}

#[test]
fn budgets_stop_repetitions() {
    let b = Budget { warmup: 0, min_reps: 2, max_reps: 4, budget_s: 1.0 };
    assert!(b.continues(1, 99.0), "the fewest repetitions are done whatever they cost");
    assert!(b.continues(3, 0.5) && !b.continues(3, 1.0) && !b.continues(4, 0.0));
}

#[test]
fn ids_depend_on_meaning_and_not_on_spelling() {
    let budget = Budget { warmup: 0, min_reps: 2, max_reps: 4, budget_s: 1.0 };
    let cell = |point: &str, check: Option<Value>| {
        let point = serde_json::from_str(point).expect("JSON");
        Cell { experiment: "bench".to_owned(), point, budget, check }
    };
    let one = cell(r#"{"a": 1, "b": {"x": 0.5, "y": [1, null]}}"#, None);
    let two = cell(r#"{"b": {"y": [1.0, null], "x": 5e-1}, "a": 1e0}"#, None);
    assert_eq!(one.id(), two.id());
    assert_eq!(one.id(), "724ae5fbb9118ff5ef4596ace58d4e3e", "journals of earlier versions must stay valid");
    assert_ne!(one.id(), cell(r#"{"a": 2, "b": {"x": 0.5, "y": [1, null]}}"#, None).id());
    assert_ne!(one.id(), cell(r#"{"a": "1", "b": {"x": 0.5, "y": [1, null]}}"#, None).id());
    assert_ne!(one.id(), cell(r#"{"a": 1, "b": {"x": 0.5, "y": [1, null]}}"#, Some(json!(1))).id());
    assert_eq!(two.label(), r#"bench a=1 b={"x":0.5,"y":[1,null]}"#);
}

#[test]
fn shards_partition_and_filters_select() {
    let all = cells(&shipped(), Pace::Full);
    for count in [1, 2, 3, 7] {
        let mut seen = HashSet::new();
        for index in 1..=count {
            let shard = Selection::all().shard(&format!("{index}/{count}")).expect("a shard");
            for cell in all.iter().filter(|c| shard.takes(c)) {
                assert!(seen.insert(cell.id()), "{} is in two shards of {count}", cell.label());
            }
        }
        assert_eq!(seen.len(), all.len());
    }
    let half = Selection::all().shard("1/2").expect("a shard");
    let share = all.iter().filter(|c| half.takes(c)).count();
    assert!(share * 3 > all.len() && share * 3 < all.len() * 2, "{share} of {} is no half", all.len());
    let deep = Selection::all().filter("^bench .*depth=1024.*tiny").expect("a pattern");
    assert_eq!(all.iter().filter(|c| deep.takes(c)).count(), 8);
    for bad in ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"] {
        assert!(matches!(Selection::all().shard(bad), Err(Error::Shard { .. })), "{bad} passed");
    }
    assert!(matches!(Selection::all().filter("("), Err(Error::Filter { .. })));
}

#[test]
fn the_shipped_matrix_covers_the_main_job_within_its_time() {
    let matrix = shipped();
    let full = cells(&matrix, Pace::Full);
    let ids: HashSet<String> = full.iter().map(Cell::id).collect();
    assert_eq!(ids.len(), full.len(), "no cell is there twice");
    let bench: HashSet<String> = full.iter().filter(|c| c.experiment == "bench").map(|c| c.label()).collect();
    for model in ["tiny-target", "tiny-draft", "smollm2-135m", "bench-110m"] {
        for format in ["f16", "q8_0"] {
            for depth in [0, 256, 1024] {
                for test in ["pp128", "tg64"] {
                    let label = format!("bench depth={depth} format={format} model={model} test={test}");
                    assert!(bench.contains(&label), "{label} is missing");
                }
            }
        }
    }
    for name in ["ceilings", "speculation", "batch"] {
        assert!(full.iter().any(|c| c.experiment == name), "{name} is missing");
        assert!(cells(&matrix, Pace::Quick).iter().any(|c| c.experiment == name), "{name} is not quick");
    }
    // The budgets alone; filling the cache to a depth comes on top.
    let seconds = |pace| cells(&matrix, pace).iter().map(|c| c.budget.budget_s).sum::<f64>();
    assert!(seconds(Pace::Full) < 20.0 * 60.0, "{} s", seconds(Pace::Full));
    assert!(seconds(Pace::Quick) < 75.0, "{} s", seconds(Pace::Quick));
}
