//! Selection of cells: filters, shards, unknown names, bad files, and their error messages.

use crate::Test;
use crate::program::{catalogue, copies, settings, studies};
use ridgeline_experiment::matrix::{Cell, Matrix, Pace};
use ridgeline_lab::runner::{Error, plan, select};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("shards_are_disjoint_and_complete", shards_are_disjoint_and_complete),
    ("cells_that_share_a_model_share_a_process", cells_that_share_a_model_share_a_process),
    ("invalid_selections_are_usage_errors", invalid_selections_are_usage_errors),
    ("the_command_lists_cells_and_refuses_bad_flags", the_command_lists_cells_and_refuses_bad_flags),
    ("the_default_matrix_fits_its_experiments", the_default_matrix_fits_its_experiments),
    ("models_of_the_flag_replace_those_of_the_matrix", models_of_the_flag_replace_those_of_the_matrix),
];

const CEILINGS: &str = "[[experiment]]\nname = \"ceilings\"\naxes = { bytes = [1000] }\n\
                        budget = { warmup = 0, min_reps = 1, max_reps = 1, budget_s = 1.0 }\n";

fn planned(text: &str, filter: Option<&str>, shard: Option<&str>) -> Vec<Cell> {
    let matrix = Matrix::parse(Path::new("test.toml"), text).expect("a matrix");
    plan::plan(&matrix, Pace::Full, &studies(), filter, shard).expect("a plan")
}

fn shards_are_disjoint_and_complete() {
    let sizes: Vec<u64> = (1..=40).collect();
    let text = copies(&sizes, &["well", "skip"], 1) + "\n" + CEILINGS;
    let all = planned(&text, None, None);
    assert_eq!((all.len(), all[0].experiment.as_str()), (81, "ceilings"));
    let mut union = BTreeSet::new();
    for i in 1..=3 {
        let shard = planned(&text, None, Some(&format!("{i}/3")));
        assert_eq!(shard[0].experiment, "ceilings", "every shard measures the ceilings");
        for cell in &shard[1..] {
            assert!(union.insert(cell.id()), "{} is in two shards", cell.label());
        }
    }
    assert_eq!(union, all[1..].iter().map(Cell::id).collect());
    let twice = planned(&format!("{text}\n{}", copies(&[1, 2], &["well"], 1)), None, None);
    assert_eq!(twice.len(), all.len(), "the same cell in two groups runs once");
    let few = planned(&text, Some("bytes=4 mode=w"), None);
    assert_eq!(few.iter().map(Cell::label).collect::<Vec<_>>(), ["copying bytes=4 mode=well"]);
}

fn cells_that_share_a_model_share_a_process() {
    let cell = |experiment: &str, model: &str, depth: u64| {
        let point = serde_json::json!({ "model": model, "depth": depth });
        let budget = planned(CEILINGS, None, None)[0].budget;
        Cell { experiment: experiment.to_owned(), point, budget, check: None }
    };
    let cells =
        vec![cell("bench", "a", 0), cell("bench", "b", 0), cell("bench", "a", 1), cell("batch", "a", 0)];
    let groups = plan::groups(cells.clone());
    let expected =
        vec![vec![cells[0].clone(), cells[2].clone()], vec![cells[1].clone()], vec![cells[3].clone()]];
    assert_eq!(groups, expected);
}

fn invalid_selections_are_usage_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = copies(&[1, 2], &["well"], 1);
    let error = |text: &str, filter: Option<&str>, shard: Option<&str>| -> Error {
        let mut settings = settings(folder.path(), text);
        (settings.filter, settings.shard) = (filter.map(str::to_owned), shard.map(str::to_owned));
        select(&settings, &catalogue()).expect_err("an invalid selection")
    };
    for (e, words) in [
        (error(&good, Some("nothing is called so"), None), "no cell of the matrix is selected by --filter"),
        (error(&good, Some("("), None), "regex parse error"),
        (error(&good, None, Some("3/2")), "--shard \"3/2\" is not I/N"),
        (error(&good.replace("copying", "copyng"), None, None), "there are copying, ceilings"),
        (
            error(&good.replace("copying", "copyng"), Some("bytes=1"), None),
            "no experiment is called \"copyng\"",
        ),
        (error(&good.replace("mode =", "mood ="), None, None), "unknown field `mood`"),
        (error(&good.replace("\"well\"", "\"fast\""), None, None), "unknown variant `fast`"),
    ] {
        assert!(e.is_usage() && e.to_string().contains(words), "{e}");
    }
}

fn ridgeline(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ridgeline")).args(arguments).output().expect("it starts")
}

fn the_command_lists_cells_and_refuses_bad_flags() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out");
    let out = out.to_str().expect("a plain path");
    let listed = ridgeline(&["bench-all", "--list", "--quick", "--filter", "^bench "]);
    let text = String::from_utf8(listed.stdout).expect("text");
    assert!(listed.status.success() && text.lines().count() > 3, "{text}");
    assert!(text.lines().all(|l| l.starts_with("bench ") && l.contains("model=")), "{text}");
    let as_json = ridgeline(&["bench-all", "--list", "--quick", "--filter", "^bench ", "--json"]);
    let cells: Vec<serde_json::Value> = serde_json::from_slice(&as_json.stdout).expect("JSON");
    assert_eq!(cells.len(), text.lines().count());
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "[[experiment]]\nname = 3\n").expect("written");
    let ceilings = folder.path().join("ceilings.toml");
    std::fs::write(&ceilings, CEILINGS).expect("written");
    let [bad, ceilings] = [&bad, &ceilings].map(|path| path.to_str().expect("a plain path"));
    for (arguments, words) in [
        (
            vec!["bench-all", "--device", "cpu", "--out", out, "--filter", "no such cell"],
            "no cell of the matrix",
        ),
        (vec!["bench-all", "--device", "cpu", "--out", out, "--filter", "("], "regex parse error"),
        (vec!["bench-all", "--device", "cpu", "--out", out, "--shard", "0/2"], "--shard"),
        (vec!["bench-all", "--device", "cpu", "--out", out, "--resume", "--fresh"], "cannot be used with"),
        (vec!["bench-all", "--matrix", bad], "bad.toml"),
        (vec!["bench-all", "-m", "no-such-model", "--out", out], "no-such-model"),
        (vec!["bench-all", "-m", "tiny-draft", "--matrix", ceilings, "--out", out], "no experiment"),
        (vec!["report", out], "holds no journal"),
        (vec!["compare", out, out], "holds no journal"),
        (vec!["merge", out, "--out", out], "holds no journal"),
    ] {
        let answer = ridgeline(&arguments);
        let said = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words) && answer.stdout.is_empty(), "{arguments:?}: {said}");
    }
    assert!(!Path::new(out).exists(), "nothing was begun");
}

fn the_default_matrix_fits_its_experiments() {
    for pace in [&["--quick"][..], &[]] {
        let listed = ridgeline(&[&["bench-all", "--list"], pace].concat());
        let said = String::from_utf8_lossy(&listed.stderr);
        assert!(listed.status.success(), "{said}");
        let text = String::from_utf8(listed.stdout).expect("text");
        for name in ["ceilings", "bench", "speculation", "batch"] {
            assert!(text.lines().any(|l| l.starts_with(name)), "{name} is missing:\n{text}");
        }
        assert!(text.starts_with("ceilings "), "they run first:\n{text}");
    }
}

fn models_of_the_flag_replace_those_of_the_matrix() {
    for pace in [&["--quick"][..], &[]] {
        let listed =
            ridgeline(&[&["bench-all", "--list", "-m", "tiny-draft,bench-110m:q4_k_m"], pace].concat());
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let text = String::from_utf8(listed.stdout).expect("text");
        assert!(text.starts_with("ceilings "), "they run first:\n{text}");
        for name in ["kernels", "bench", "batch"] {
            let of = |model: &str| {
                let is =
                    |l: &&str| l.starts_with(name) && l.contains(&format!(" format=stored model={model} "));
                text.lines().filter(is).count()
            };
            let [one, other] = ["tiny-draft", "bench-110m:q4_k_m"].map(of);
            assert!(one > 0 && one == other, "{name}: {one} and {other} cells:\n{text}");
        }
        assert!(!text.contains("tiny-target"), "{text}");
    }
}
