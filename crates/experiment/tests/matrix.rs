//! The matrix: points, hashes, filters, shards, studies, and the shipped files.

use ridgeline_experiment::Error;
use ridgeline_experiment::matrix::{Axes, Budget, Cell, Matrix, Selection, names};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

const TWO: &str = r#"# A comment.
[[cells]]
studies = ["GAP-1", "RB-1"]
measure = "pass"
axes = { model = ["a", "b"], depth = [0, 256, 1024], temperature = [0.5] }
budget = { warmup = 1, min_reps = 2, max_reps = 5, budget_s = 10.0 }
first = { warmup = 0, min_reps = 1, max_reps = 1, budget_s = 0.5 }
check = { tokens = "abc" }

[[cells]]
measure = "slow"
budget = { warmup = 0, min_reps = 1, max_reps = 1, budget_s = 3.0 }
"#;

fn parse(text: &str) -> Result<Matrix, Error> {
    Matrix::parse(Path::new("m.toml"), text)
}

fn shipped(files: &[&str]) -> Matrix {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../matrix");
    let load = |file: &&str| Matrix::load(&folder.join(file)).expect("a shipped matrix parses");
    files.iter().map(load).fold(Matrix::default(), Matrix::with)
}

/// The files of the studies, which run together. `model.toml` takes their place with `-m`.
const STUDIES: [&str; 4] = ["gap.toml", "ag.toml", "rb.toml", "inv.toml"];

fn cells(matrix: &Matrix) -> Vec<Cell> {
    matrix.groups.iter().flat_map(|g| g.axes.product().into_iter().map(|p| g.cell(p))).collect()
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
    let groups = parse(TWO).expect("parses").groups;
    let points: Vec<Point> = groups[0].axes.points().expect("typed points");
    assert_eq!(points.len(), 6);
    assert_eq!(points[1], Point { model: "b".to_owned(), depth: 0, temperature: 0.5 });
    let axis = |p: fn(&Point) -> String| points.iter().map(p).collect::<HashSet<_>>().len();
    assert_eq!((axis(|p| p.model.clone()), axis(|p| p.depth.to_string())), (2, 3));
    assert_eq!(groups[1].axes.product(), [json!({})], "a measure without axes has one point");
    let wrong = Axes::new([("model".to_owned(), vec![json!("a")])]);
    let error = wrong.points::<Point>().expect_err("two axes are missing");
    assert!(error.to_string().contains(r#"point {"model":"a"}"#), "{error}");
    assert_eq!(wrong.values("model"), [json!("a")]);
    assert!(wrong.values("depth").is_empty());
}

#[test]
fn the_first_visit_is_brief() {
    let all = cells(&parse(TWO).expect("parses"));
    let (stated, default) = (&all[0], &all[6]);
    assert_eq!((stated.next_budget().budget_s, stated.next_budget().max_reps), (0.5, 1));
    assert!(default.next_budget().budget_s <= 1.0, "without `first`, a second: {:?}", default.first);
    for cell in [stated, default] {
        let later = Cell { visit: 1, ..cell.clone() };
        assert_eq!(*later.next_budget(), cell.budget, "later visits have the full budget");
        assert_eq!(later.id(), cell.id(), "a brief visit counts as one of the same cell");
    }
}

#[test]
fn files_are_joined_in_order() {
    let both = parse(TWO).expect("parses").with(parse(TWO).expect("parses"));
    assert_eq!(
        both.groups.iter().map(|g| g.measure.as_str()).collect::<Vec<_>>(),
        ["pass", "slow", "pass", "slow"]
    );
    assert_eq!(both.groups[0].studies, ["GAP-1", "RB-1"]);
    assert!(both.groups[1].studies.is_empty(), "no experiment has to want a cell");
}

#[test]
fn other_models_take_the_place_of_a_matrixs() {
    let names = ["x".to_owned(), "y".to_owned(), "z".to_owned()];
    let groups = parse(TWO).expect("parses").of_models(&names, |_, name| name.to_owned()).groups;
    assert_eq!(groups[0].axes.values("model"), names.clone().map(Value::from));
    let renamed = |values: &[Value], name: &str| format!("{name} for {}", values.len());
    let groups = parse(TWO).expect("parses").of_models(&names[..1], renamed).groups;
    assert_eq!(groups[0].axes.values("model"), [json!("x for 2")]);
    assert!(groups[1].axes.values("model").is_empty(), "no axis is added");
}

/// The error inside [`Error::InMatrix`], and its line.
fn located(text: &str) -> (usize, Error) {
    match parse(text) {
        Err(Error::InMatrix { path, line, source }) => {
            assert_eq!(path, PathBuf::from("m.toml"));
            (line, *source)
        }
        other => panic!("no place: {other:?}"),
    }
}

#[test]
fn mistakes_in_a_matrix_are_named_with_their_lines() {
    let (line, error) = located(&TWO.replace("[0, 256, 1024]", "[]"));
    assert!(
        matches!(&error, Error::EmptyAxis { measure, axis } if (measure.as_str(), axis.as_str()) == ("pass", "depth"))
    );
    assert_eq!(line, 5, "the line of the axis");
    let (line, error) = located(&TWO.replace("max_reps = 5", "max_reps = 1"));
    assert!(matches!(error, Error::BadBudget { min_reps: 2, max_reps: 1, .. }), "{error}");
    assert_eq!(line, 6, "the line of the budget");
    let (line, error) = located(&TWO.replace("budget_s = 0.5", "budget_s = -1.0"));
    assert!(matches!(error, Error::BadBudget { .. }) && line == 7, "line {line}: {error}");
    let (line, error) = located(&TWO.replace("budget_s = 3.0", "budget_s = inf"));
    assert!(matches!(error, Error::BadBudget { .. }) && line == 12, "line {line}: {error}");
    let unknown = TWO.replace("check = ", "chekc = ");
    let error = parse(&unknown).expect_err("a misspelt key is not ignored");
    assert!(matches!(error, Error::Toml { .. }) && error.to_string().contains("m.toml"), "{error}");
    assert!(parse(&TWO.replace("studies", "quick")).is_err(), "there are no quick axes");
    assert!(matches!(Matrix::load(Path::new("nowhere.toml")), Err(Error::Io { .. })));
}

#[test]
fn an_error_about_a_group_names_its_line() {
    let groups = parse(TWO).expect("parses").groups;
    let at = |group: usize, words: &str| {
        let unknown = Error::UnknownStudy { id: words.to_owned(), known: String::new() };
        groups[group].error(words, unknown).to_string()
    };
    assert!(at(0, "RB-1").starts_with("m.toml, line 3: "), "{}", at(0, "RB-1"));
    assert!(at(1, "slow").starts_with("m.toml, line 11: "), "{}", at(1, "slow"));
    assert!(at(1, "nowhere").starts_with("m.toml, line 10: "), "the group's own line: {}", at(1, "nowhere"));
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
        let (measure, studies) = ("pass".to_owned(), vec!["GAP-4".to_owned()]);
        Cell { measure, studies, point, budget, first: budget, check, visit: 0, visits: 3 }
    };
    let one = cell(r#"{"a": 1, "b": {"x": 0.5, "y": [1, null]}}"#, None);
    let two = cell(r#"{"b": {"y": [1.0, null], "x": 5e-1}, "a": 1e0}"#, None);
    assert_eq!(one.id(), two.id());
    assert_eq!(one.id(), "4dd54473aca790bf96a1f16e9c3b763e", "journals of this schema must stay valid");
    assert_ne!(one.id(), cell(r#"{"a": 2, "b": {"x": 0.5, "y": [1, null]}}"#, None).id());
    assert_ne!(one.id(), cell(r#"{"a": "1", "b": {"x": 0.5, "y": [1, null]}}"#, None).id());
    assert_ne!(one.id(), cell(r#"{"a": 1, "b": {"x": 0.5, "y": [1, null]}}"#, Some(json!(1))).id());
    assert_ne!(one.id(), Cell { measure: "launch".to_owned(), ..one.clone() }.id());
    let longer = Budget { budget_s: 60.0, ..budget };
    let other = Cell { budget: longer, first: longer, studies: Vec::new(), visit: 2, ..one.clone() };
    assert_eq!(one.id(), other.id(), "budgets, studies and visits do not make another cell");
    assert_eq!(two.label(), r#"pass a=1 b={"x":0.5,"y":[1,null]}"#);
}

#[test]
fn shards_partition_and_filters_select() {
    let all = cells(&shipped(&STUDIES));
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
    let deep = Selection::all().filter("^pass .*depth=1024.*tiny").expect("a pattern");
    assert_eq!(all.iter().filter(|c| deep.takes(c)).count(), 8);
    for bad in ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"] {
        assert!(matches!(Selection::all().shard(bad), Err(Error::Shard { .. })), "{bad} passed");
    }
    assert!(matches!(Selection::all().filter("("), Err(Error::Filter { .. })));
}

#[test]
fn studies_select_by_experiment_and_by_study() {
    let all = cells(&shipped(&STUDIES));
    let taken = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let selection = Selection::all().studies(&names);
        all.iter().filter(|c| selection.takes(c)).collect::<Vec<_>>()
    };
    assert_eq!(taken(&[]).len(), all.len(), "no name is every study");
    let one = taken(&["gap-4"]);
    assert!(!one.is_empty() && one.iter().all(|c| c.studies.iter().any(|id| id == "GAP-4")));
    let whole = taken(&["Gap"]);
    assert!(
        whole.len() > one.len() && whole.iter().all(|c| c.studies.iter().any(|id| id.starts_with("GAP-")))
    );
    assert_eq!(taken(&["inv", "gap", "ag", "rb"]).len(), all.len(), "some study wants every cell");
    assert_eq!(taken(&["GAP-1"]).len(), 6, "GAP-1 is not the beginning of GAP-10 and GAP-11");
    assert!(
        names("gap-4", "GAP-4") && names("GAP", "GAP-SUM") && !names("GA", "GAP-4") && !names("4", "GAP-4")
    );
}

#[test]
fn the_shipped_matrices_hold_every_cell_once_and_fit_their_time() {
    for files in [&STUDIES[..], &["model.toml"]] {
        let all = cells(&shipped(files));
        let mut seen = HashSet::new();
        for cell in &all {
            assert!(seen.insert(cell.id()), "{files:?}: {} is there twice", cell.label());
        }
        // The budgets alone; loading a model and filling the cache to a depth come on top.
        let full = all.iter().map(|c| c.budget.budget_s).sum::<f64>();
        let first = all.iter().map(|c| c.first.budget_s).sum::<f64>();
        assert!(full < 8.0 * 60.0, "{files:?}: a full visit of every cell takes {full} s");
        assert!(first < 3.0 * 60.0 && first < full, "{files:?}: a first visit of every cell takes {first} s");
        for name in ["ceilings", "launch", "pass"] {
            assert!(all.iter().any(|c| c.measure == name), "{files:?}: {name} is missing");
        }
    }
}

#[test]
fn the_studies_matrix_covers_the_main_job() {
    let all = cells(&shipped(&STUDIES));
    let labels: HashSet<String> = all.iter().map(Cell::label).collect();
    for (model, generation) in [("tiny-target", "tg64"), ("tiny-draft", "tg64"), ("smollm2-135m", "tg16")] {
        for format in ["f16", "q8_0"] {
            for depth in [0, 256, 1024] {
                for (kernels, work) in [("", "pp128"), (" kernels=true", generation)] {
                    let label =
                        format!("pass depth={depth} format={format}{kernels} model={model} work={work}");
                    assert!(labels.contains(&label), "{label} is missing");
                }
            }
        }
    }
    for name in ["quality", "speculation"] {
        assert!(all.iter().any(|c| c.measure == name), "{name} is missing");
    }
    let checked = all.iter().filter(|c| c.check.is_some());
    assert!(
        checked.clone().count() > 0 && checked.clone().all(|c| c.measure == "speculation"),
        "greedy text is checked"
    );
}
