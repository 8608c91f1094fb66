//! `bench` with parts left out, other submissions, other clocks and several sequences.

use crate::Test;
use crate::program::{command, on_cpu, one_of_five, ridgeline};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};

pub(crate) const TESTS: &[Test] = &[
    ("unknown_values_list_the_known_ones", unknown_values_list_the_known_ones),
    ("the_cpu_has_no_timestamps", the_cpu_has_no_timestamps),
];

pub(crate) const ON_A_DEVICE: &[Test] = &[
    ("columns_appear_with_their_flags_only", columns_appear_with_their_flags_only),
    ("every_combination_is_a_row", every_combination_is_a_row),
    ("sequences_share_forward_passes", sequences_share_forward_passes),
    ("an_ablated_pass_is_faster", an_ablated_pass_is_faster),
    ("profiles_lack_the_ablated_parts", profiles_lack_the_ablated_parts),
    ("clocks_are_ordered", clocks_are_ordered),
    ("rows_are_printed_when_they_are_measured", rows_are_printed_when_they_are_measured),
    ("rows_go_to_both_streams_in_their_formats", rows_go_to_both_streams_in_their_formats),
];

const BENCH: &[&str] = &["bench", "-m", "tiny-draft", "-p", "0", "-n", "4", "-r", "2", "--no-probe"];

fn bench(more: &[&str]) -> Vec<Value> {
    let rows = ridgeline(&[BENCH, more, &["-o", "json"]].concat()).json();
    rows.as_array().expect("rows").clone()
}

fn unknown_values_list_the_known_ones() {
    let fails = |flags: &[&str], parts: &[&str]| ridgeline(&[BENCH, flags].concat()).fails(2, parts);
    let parts = "known are embed, norm, projection, rope, kv-write, attention, mlp, head";
    fails(&["--ablate", "norm,ropes"], &["\"ropes\" is not a part", parts]);
    fails(&["--ablate", "norm+x"], &["\"x\" is not a part", parts]);
    fails(&["--submission", "token"], &["known are launch, layer, pass, pipelined"]);
    fails(&["--clock", "gpu"], &["known are encode, complete, device"]);
    fails(&["--no-wait"], &["--submission"]);
    fails(&["--submission", "pass", "--no-wait"], &["--submission launch or layer"]);
    fails(&["--clock", "encode", "-o", "sql"], &["no columns", "-o csv"]);
    fails(&["--clock", "encode", "-oe", "sql"], &["no columns", "-o csv"]);
    fails(&["-npl", "2", "-o", "sql"], &["no columns", "-npl"]);
    fails(&["-npl", "0"], &["--n-parallel", "0"]);
    fails(&["-npl", "2", "--profile", "-o", "md"], &["one sequence", "-npl"]);
    fails(&["-oe", "xml"], &["-oe \"xml\" is unknown", "jsonl"]);
    fails(&["-fa", "2"], &["use 0, 1, on or off"]);
    fails(&["-ngl", "0"], &["-ngl 0", "--device cpu"]);
    fails(&["-nkvo", "1"], &["-nkvo 1", "device's memory"]);
    fails(&["-mg", "1"], &["-mg 1", "--device"]);
    fails(&["-ot", "ffn=CPU"], &["-ot ffn=CPU"]);
}

fn the_cpu_has_no_timestamps() {
    on_cpu(&[BENCH, &["--clock", "complete,device"]].concat())
        .fails(1, &["has no valid device timestamps", "--clock complete"]);
}

fn columns_appear_with_their_flags_only() {
    let table = |more: &[&str]| {
        let text = ridgeline(&[BENCH, more, &["-o", "md"]].concat()).ok();
        let header = text.lines().next().expect("a header").split('|').map(|it| it.trim().to_owned());
        (header.filter(|it| !it.is_empty()).collect::<Vec<_>>(), text)
    };
    let usual =
        ["model", "size", "params", "backend", "test", "t/s", "95 % CI", "ms/tok", "% BW", "% roof", "bound"];
    assert_eq!(table(&[]).0, usual);
    let (header, _) = table(&["-ctk", "q8_0", "-fa", "0", "-ub", "64"]);
    assert_eq!(header, [&usual[..4], &["n\\_ubatch", "type\\_k", "fa"], &usual[4..]].concat());
    assert!(table(&["--without", "qkv,residual"]).1.contains("without qkv+residual"));
    let (header, text) = table(&["--ablate", "norm+rope", "--submission", "layer", "--clock", "encode"]);
    let added = ["ablate", "submission", "wait", "clock"];
    assert_eq!(header, [&usual[..5], &added, &usual[5..]].concat());
    assert!(text.contains("| norm+rope") && text.contains("| encode") && text.contains("build: "), "{text}");
    let row = &bench(&[])[0];
    assert!(added.iter().all(|&field| row.get(field).is_none()), "{row}");
    let csv = ridgeline(&[BENCH, &["--clock", "encode,complete", "-o", "csv"]].concat()).ok();
    let ends: Vec<_> = csv.lines().map(|line| line.rsplit(',').next().expect("a cell")).collect();
    assert_eq!(ends, ["clock", "\"encode\"", "\"complete\""]);
}

fn every_combination_is_a_row() {
    let rows =
        bench(&["--ablate", "none,head", "--submission", "launch,pipelined", "--clock", "encode,complete"]);
    let of = |row: &Value| {
        ["ablate", "submission", "wait", "clock"].map(|key| row[key].to_string().replace('"', "")).join(" ")
    };
    let mut expected = Vec::new();
    for ablate in ["none", "head"] {
        for submission in ["launch true", "pipelined false"] {
            expected.extend(["encode", "complete"].map(|clock| format!("{ablate} {submission} {clock}")));
        }
    }
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected);
    let no_wait = bench(&["--submission", "layer,pass", "--no-wait"]);
    assert_eq!(
        no_wait.iter().map(|row| row["wait"].as_bool()).collect::<Vec<_>>(),
        [Some(false), Some(true)]
    );
}

fn sequences_share_forward_passes() {
    let rows = bench(&["-npp", "3", "-npl", "1,3"]);
    let of = |row: &Value| ["n_parallel", "n_prompt", "n_gen"].map(|key| row[key].as_u64());
    let expected = [[1, 3, 0], [3, 3, 0], [1, 0, 4], [3, 0, 4]].map(|row| row.map(Some));
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected);
    for row in &rows {
        let [all, each] = ["avg_ts", "avg_ts_seq"].map(|key| row[key].as_f64().expect("a rate"));
        let n = row["n_parallel"].as_f64().expect("a number");
        assert!((all - n * each).abs() <= 0.006 * n, "{row}");
        let tokens = n * (row["n_prompt"].as_f64().expect("tokens") + row["n_gen"].as_f64().expect("tokens"));
        let fastest = row["samples_ns"].as_array().expect("times").iter().filter_map(Value::as_f64);
        let most = tokens * 1e9 / fastest.fold(f64::INFINITY, f64::min);
        let rates = row["samples_ts"].as_array().expect("rates").iter().filter_map(Value::as_f64);
        assert!((rates.fold(0.0, f64::max) / most - 1.0).abs() < 1e-9, "tokens of all sequences: {row}");
    }
    let rates = || bench(&["-npl", "1,8"]).iter().map(|row| row["avg_ts"].as_f64()).collect::<Vec<_>>();
    one_of_five(rates, |rates| rates[1] > rates[0]);
}

fn mean_ns(row: &Value) -> f64 {
    row["avg_ns"].as_f64().expect("a number")
}

fn an_ablated_pass_is_faster() {
    let times = || bench(&["--ablate", "none,mlp,all"]).iter().map(mean_ns).collect::<Vec<_>>();
    one_of_five(times, |times| times[0] > times[1] && times[1] > times[2]);
}

fn profiles_lack_the_ablated_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.json");
    let trace = ["--trace", file.to_str().expect("UTF-8")];
    // Submissions and clocks do not change the launches, so that they add no profile.
    bench(&[&["--ablate", "none,mlp+attention", "--submission", "layer,pass"], &trace[..]].concat());
    let trace: Value = serde_json::from_slice(&fs::read(&file).expect("a trace")).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events");
    let titles: Vec<_> = events.iter().filter(|it| it["ph"] == "M").map(|it| &it["args"]["name"]).collect();
    assert_eq!(titles, ["tiny-draft tg1", "tiny-draft tg1, without attention+mlp"]);
    let pid = &events.iter().rfind(|it| it["ph"] == "M").expect("a process")["pid"];
    let rest = events.iter().filter(|it| it["ph"] == "X" && it["pid"] == *pid);
    let modules: Vec<_> = rest.map(|it| it["cat"].as_str().expect("a module")).collect();
    for (module, expected) in
        [("qkv", true), ("lm_head", true), ("attention", false), ("gate_up", false), ("down", false)]
    {
        assert_eq!(
            modules.iter().any(|it| it.split(", ").any(|it| it == module)),
            expected,
            "{module}: {modules:?}"
        );
    }
}

/// The host's time without waits is less than the time to completion, and so is the device's where it is valid.
fn clocks_are_ordered() {
    let rows = bench(&["--submission", "pass", "--clock", "encode,complete"]);
    assert!(mean_ns(&rows[0]) < mean_ns(&rows[1]), "{rows:?}");
    let flags = ["--submission", "launch,pass", "--clock", "device,complete", "-o", "json"];
    let done = ridgeline(&[BENCH, &flags].concat());
    if done.code != 0 {
        return done.fails(1, &["has no valid device timestamps"]);
    }
    let rows = done.json();
    for i in [0, 2] {
        assert!(mean_ns(&rows[i]) < 1.05 * mean_ns(&rows[i + 1]), "{rows}");
    }
}

/// The first row can be read while the second is measured.
fn rows_are_printed_when_they_are_measured() {
    for (format, lines) in [("jsonl", 1), ("csv", 2), ("md", 3), ("sql", 1)] {
        let bench =
            ["bench", "-m", "tiny-draft", "-p", "2,512", "-n", "0", "-r", "30", "--no-probe", "-o", format];
        let mut child = command(&bench).arg("--no-install").spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut text = String::new();
        for _ in 0..lines {
            assert!(stdout.read_line(&mut text).expect("UTF-8") > 0, "{format}: {text}");
        }
        assert!(child.try_wait().expect("a child").is_none(), "{format}: it measures the second row: {text}");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
}

fn rows_go_to_both_streams_in_their_formats() {
    let bench =
        ["bench", "-m", "tiny-draft", "-p", "2,4", "-n", "0", "-r", "2", "--no-probe", "-fa", "on,off"];
    let done = ridgeline(&[&bench[..], &["-o", "md", "-oe", "jsonl"]].concat());
    let rows: Vec<Value> =
        done.stderr.lines().map(|it| serde_json::from_str(it).expect("rows alone")).collect();
    assert_eq!(rows.len(), 4);
    let text = done.ok();
    let table: Vec<Vec<&str>> = text
        .lines()
        .filter(|it| it.starts_with('|'))
        .map(|it| it.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(table.len() == 6 && text.contains("\nbuild: "), "{text}");
    assert!(table.iter().all(|it| it.len() == table[0].len()), "{text}");
    let fa = table[0].iter().position(|it| *it == "fa").expect("a column of what differs");
    let column: Vec<_> = table[2..].iter().map(|it| it[fa]).collect();
    assert_eq!(column, ["1", "1", "0", "0"]);
    assert!(!table[0].contains(&"n\\_batch"), "{text}");
    // The file names 2048 positions.
    let long = [
        "bench",
        "-m",
        "tiny-draft",
        "-p",
        "1",
        "-n",
        "0",
        "-r",
        "1",
        "--no-probe",
        "-d",
        "6000",
        "--no-warmup",
    ];
    let done = ridgeline(&long);
    assert!(
        done.stderr.contains("6001 tokens may exceed the model's trained context of 2048"),
        "{}",
        done.stderr
    );
}
