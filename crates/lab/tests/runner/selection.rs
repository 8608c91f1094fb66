//! Selection of cells: filters, shards, unknown names, bad files, and their error messages.

use crate::Test;
use crate::program::{catalogue, ceilings, copies, settings};
use ridgeline_experiment::matrix::{Cell, Matrix};
use ridgeline_lab::runner::plan::{self, Wanted};
use ridgeline_lab::runner::{Catalogue, Error, Settings, select};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("shards_are_disjoint_and_complete", shards_are_disjoint_and_complete),
    ("cells_that_share_a_model_share_a_process", cells_that_share_a_model_share_a_process),
    ("studies_select_their_cells", studies_select_their_cells),
    ("invalid_selections_are_usage_errors", invalid_selections_are_usage_errors),
    ("the_command_lists_cells_and_refuses_bad_flags", the_command_lists_cells_and_refuses_bad_flags),
    ("the_shipped_matrices_fit_their_measures", the_shipped_matrices_fit_their_measures),
    ("several_matrices_are_one", several_matrices_are_one),
    ("models_of_the_flag_replace_those_of_the_matrix", models_of_the_flag_replace_those_of_the_matrix),
];

fn planned(text: &str, filter: Option<&str>, shard: Option<&str>) -> Vec<Cell> {
    let matrix = Matrix::parse(Path::new("test.toml"), text).expect("a matrix");
    let Catalogue { measures, studies, .. } = catalogue();
    plan::plan(&matrix, &measures, &studies, Wanted { filter, shard, studies: &[] }).expect("a plan")
}

fn shards_are_disjoint_and_complete() {
    let sizes: Vec<u64> = (1..=40).collect();
    let text = copies(&sizes, &["well", "skip"], 1) + "\n" + &ceilings();
    let all = planned(&text, None, None);
    assert_eq!((all.len(), all[0].measure.as_str()), (81, "ceilings"));
    let mut union = BTreeSet::new();
    for i in 1..=3 {
        let shard = planned(&text, None, Some(&format!("{i}/3")));
        assert_eq!(shard[0].measure, "ceilings", "every shard measures the ceilings");
        for cell in &shard[1..] {
            assert!(union.insert(cell.id()), "{} is in two shards", cell.label());
        }
    }
    assert_eq!(union, all[1..].iter().map(Cell::id).collect());
    let wider =
        copies(&[1, 2], &["well"], 1).replace("GAP-10", "gap").replace("budget_s = 1.0", "budget_s = 9.0");
    let twice = planned(&format!("{text}\n{wider}"), None, None);
    assert_eq!(twice.len(), all.len(), "the same cell in two groups runs once");
    let one = twice.iter().find(|c| c.label() == "copying bytes=1 mode=well").expect("a cell of both groups");
    assert_eq!(
        (one.studies.as_slice(), one.budget.budget_s),
        (&["GAP-10".to_owned(), "gap".to_owned()][..], 9.0),
        "for both"
    );
    let few = planned(&text, Some("bytes=4 mode=w"), None);
    assert_eq!(few.iter().map(Cell::label).collect::<Vec<_>>(), ["copying bytes=4 mode=well"]);
}

fn cells_that_share_a_model_share_a_process() {
    let cell = |measure: &str, axis: &str, model: &str, depth: u64| {
        let point = serde_json::json!({ axis: model, "depth": depth });
        Cell { measure: measure.to_owned(), point, ..planned(&ceilings(), None, None)[0].clone() }
    };
    let cells = vec![
        cell("pass", "model", "a", 0),
        cell("pass", "model", "b", 0),
        cell("pass", "model", "a", 1),
        cell("launch", "model", "a", 0),
        cell("speculation", "target", "b", 0),
        cell("ceilings", "quantity", "read", 0),
        cell("ceilings", "quantity", "copy", 0),
    ];
    let at = |places: &[usize]| places.iter().map(|&i| cells[i].clone()).collect::<Vec<_>>();
    assert_eq!(plan::groups(cells.clone()), [at(&[0, 2, 3]), at(&[1, 4]), at(&[5, 6])], "of any measure");
}

fn studies_select_their_cells() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let other = copies(&[3], &["well"], 1).replace("studies = [\"GAP-10\"]\n", "");
    let text = format!("{}\n{other}\n{}", copies(&[1, 2], &["well"], 1), ceilings());
    let labels = |names: &[&str]| {
        let mut settings = settings(folder.path(), &text);
        settings.studies = names.iter().map(|it| (*it).to_owned()).collect();
        let cells = select(&settings, &catalogue()).expect("a selection");
        cells.iter().map(Cell::label).collect::<Vec<_>>()
    };
    let wanted = ["ceilings bytes=1000", "copying bytes=1 mode=well", "copying bytes=2 mode=well"];
    for names in [&["GAP-10"][..], &["gap-10"], &["gap"]] {
        assert_eq!(labels(names), wanted, "{names:?}, and the ceilings");
    }
    assert_eq!(labels(&[]).len(), 4, "without names, also cells that no study wants");
}

fn invalid_selections_are_usage_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = copies(&[1, 2], &["well"], 1);
    let error = |text: &str, change: &dyn Fn(&mut Settings)| -> Error {
        let mut settings = settings(folder.path(), text);
        change(&mut settings);
        select(&settings, &catalogue()).expect_err("an invalid selection")
    };
    let filter = |text: &str| error(&good, &|it| it.filter = Some(text.to_owned()));
    let study = |text: &str| error(&good, &|it| it.studies = vec![text.to_owned()]);
    let misspelt =
        |from: &str, to: &str| error(&format!("# A comment.\n{}", good.replace(from, to)), &|_| {});
    let elsewhere = error(&good.replace("copying", "copyng"), &|it| it.filter = Some("bytes=1".to_owned()));
    for (e, words) in [
        (filter("nothing is called so"), "no cell of the matrix is selected by --filter"),
        (filter("("), "regex parse error"),
        (error(&good, &|it| it.shard = Some("3/2".to_owned())), "--shard \"3/2\" is not I/N"),
        (study("RB-4"), "no experiment is called \"RB-4\"; there are GAP-10"),
        (study("ga"), "no experiment is called \"ga\""),
        (
            misspelt("GAP-10", "GAP-99"),
            "test.toml, line 3: no experiment is called \"GAP-99\"; there are GAP-10",
        ),
        (
            misspelt("copying", "copyng"),
            "test.toml, line 4: no measure is called \"copyng\"; there are copying, ceilings",
        ),
        (elsewhere, "no measure is called \"copyng\""),
        (
            misspelt("mode =", "mood ="),
            "test.toml, line 5: point {\"bytes\":1,\"mood\":\"well\"}: unknown field `mood`",
        ),
        (misspelt("\"well\"", "\"fast\""), "unknown variant `fast`"),
    ] {
        assert!(e.is_usage() && e.to_string().contains(words), "{e}");
    }
    let nothing = error(&ceilings(), &|it| {
        (it.filter, it.studies) = (Some("copying".to_owned()), vec!["gap".to_owned()]);
    });
    let text = nothing.to_string();
    assert!(text.contains("selected by --filter \"copying\" --study gap;"), "{text}");
}

fn ridgeline(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ridgeline")).args(arguments).output().expect("it starts")
}

fn the_command_lists_cells_and_refuses_bad_flags() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out");
    let out = out.to_str().expect("a plain path");
    let listed = ridgeline(&["bench-all", "--list", "--quick", "--filter", "^pass "]);
    let text = String::from_utf8(listed.stdout).expect("text");
    assert!(listed.status.success() && text.lines().count() > 3, "{text}");
    assert!(text.lines().all(|l| l.starts_with("pass ") && l.contains("model=")), "{text}");
    let as_json = ridgeline(&["bench-all", "--list", "--quick", "--filter", "^pass ", "--json"]);
    let cells: Vec<serde_json::Value> = serde_json::from_slice(&as_json.stdout).expect("JSON");
    assert_eq!(cells.len(), text.lines().count());
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "[[cells]]\nmeasure = 3\n").expect("written");
    let unknown = folder.path().join("unknown.toml");
    std::fs::write(&unknown, copies(&[1], &["well"], 1)).expect("written");
    let alone = folder.path().join("ceilings.toml");
    std::fs::write(&alone, ceilings().replace("bytes = [1000]", "quantity = [\"read\"]")).expect("written");
    let [bad, unknown, alone] = [&bad, &unknown, &alone].map(|path| path.to_str().expect("a plain path"));
    for (arguments, words) in [
        (
            vec!["bench-all", "--device", "cpu", "--out", out, "--filter", "no such cell"],
            "no cell of the matrix",
        ),
        (vec!["bench-all", "--device", "cpu", "--out", out, "--filter", "("], "regex parse error"),
        (vec!["bench-all", "--device", "cpu", "--out", out, "--shard", "0/2"], "--shard"),
        (vec!["bench-all", "--device", "cpu", "--out", out, "--resume", "--fresh"], "cannot be used with"),
        (vec!["bench-all", "--matrix", bad], "bad.toml"),
        (vec!["bench-all", "--matrix", unknown], "unknown.toml, line 3: no measure is called \"copying\""),
        (vec!["bench-all", "--list", "--study", "GAP-99"], "no experiment is called \"GAP-99\""),
        (vec!["bench-all", "--max-time", "soon"], "--max-time"),
        (vec!["bench-all", "-m", "no-such-model", "--out", out], "no-such-model"),
        (
            vec!["bench-all", "-m", "tiny-draft", "--matrix", alone, "--out", out],
            "no cells of the matrix have an axis named model",
        ),
        (vec!["report", out], "holds no journal"),
        (vec!["compare", out, out], "holds no journal"),
        (vec!["merge", out, "--out", out], "holds no journal"),
    ] {
        let answer = ridgeline(&arguments);
        let said = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words) && answer.stdout.is_empty(), "{arguments:?}: {said}");
    }
    let missing = ridgeline(&["bench-all", "--list", "--matrix", alone, "--matrix", "no/such.toml"]);
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(
        missing.status.code() == Some(1) && said.contains("no/such.toml: "),
        "every file is read: {said}"
    );
    assert!(!Path::new(out).exists(), "nothing was begun");
}

fn listed(arguments: &[&str]) -> Vec<String> {
    let listed = ridgeline(&[&["bench-all", "--list"], arguments].concat());
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn the_shipped_matrices_fit_their_measures() {
    let all = listed(&[]);
    for name in ["ceilings", "launch", "pass", "quality", "speculation"] {
        assert!(all.iter().any(|l| l.starts_with(name)), "{name} is missing: {all:?}");
    }
    assert!(all[0].starts_with("ceilings "), "they run first: {all:?}");
    assert_eq!(listed(&["--quick"]), all, "a quick run visits the same cells");
    let gap = listed(&["--study", "gap"]);
    let one = listed(&["--study", "GAP-4,RB-4"]);
    assert!(one.len() < gap.len() && gap.len() < all.len(), "{} {} {}", one.len(), gap.len(), all.len());
    assert_eq!(listed(&["--study", "GAP-4", "--study", "rb-4"]), one, "repeated or listed");
}

fn several_matrices_are_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let budget = "budget = { warmup = 0, min_reps = 1, max_reps = 1, budget_s = 1.0 }";
    let file = |name: &str, quantity: &str| {
        let path = folder.path().join(name);
        let text =
            format!("[[cells]]\nmeasure = \"ceilings\"\naxes = {{ quantity = {quantity} }}\n{budget}\n");
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("a plain path").to_owned()
    };
    let (a, b) = (file("a.toml", "[\"read\", \"copy\"]"), file("b.toml", "[\"copy\", \"triad\"]"));
    let both = listed(&["--matrix", &a, "--matrix", &b]);
    assert_eq!(both, ["read", "copy", "triad"].map(|it| format!("ceilings quantity={it}")), "each cell once");
}

fn models_of_the_flag_replace_those_of_the_matrix() {
    let all = listed(&["-m", "tiny-draft,bench-110m:q4_k_m"]);
    assert!(all[0].starts_with("ceilings "), "they run first: {all:?}");
    for name in ["launch", "pass"] {
        let of = |model: &str| {
            let is = |l: &&String| {
                let model = format!(" model={model} ");
                l.starts_with(name) && l.contains("format=stored ") && format!("{l} ").contains(&model)
            };
            all.iter().filter(is).count()
        };
        let [one, other] = ["tiny-draft", "bench-110m:q4_k_m"].map(of);
        assert!(one > 0 && one == other, "{name}: {one} and {other} cells: {all:?}");
    }
    assert!(!all.iter().any(|l| l.contains("tiny-target")), "{all:?}");
}
