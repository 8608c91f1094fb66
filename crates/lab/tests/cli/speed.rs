//! Commands about this program's own speed: profiles, tuning, targets.

use crate::Test;
use crate::program::{Done, command, finish, on_cpu, one_of_five, repository, ridgeline};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const ON_A_DEVICE: &[Test] = &[
    ("a_profile_accounts_for_every_launch", a_profile_accounts_for_every_launch),
    ("a_profile_compares_kernels_with_their_roofs", a_profile_compares_kernels_with_their_roofs),
    ("each_disabled_fusion_adds_launches", each_disabled_fusion_adds_launches),
    ("int8_dot_products_report_how_logits_change", int8_dot_products_report_how_logits_change),
    ("tune_stores_choices_that_later_commands_use", tune_stores_choices_that_later_commands_use),
    ("targets_report_verification_and_stability", targets_report_verification_and_stability),
    (
        "targets_report_host_time_with_and_without_a_driver",
        targets_report_host_time_with_and_without_a_driver,
    ),
    (
        "tables_are_markdown_in_pipes_and_plain_on_terminals",
        tables_are_markdown_in_pipes_and_plain_on_terminals,
    ),
];

pub(crate) const TESTS: &[Test] =
    &[("commands_that_need_a_clock_refuse_the_cpu", commands_that_need_a_clock_refuse_the_cpu)];

fn commands_that_need_a_clock_refuse_the_cpu() {
    let bench = |more: &[&str]| {
        on_cpu(&[&["bench", "-m", "tiny-draft", "-p", "4", "-n", "0", "-r", "1"], more].concat())
    };
    bench(&["--profile", "-o", "json"]).fails(2, &["--profile prints tables"]);
    let refused = bench(&["--profile"]).stderr;
    assert!(refused.contains("CPU") && refused.contains("--device"), "{refused}");
    // The file is created before anything is measured, so that no measurement is lost.
    bench(&["--trace", "/no/such/folder/trace.json"]).fails(2, &["/no/such/folder/trace.json"]);
    bench(&[]).fails(1, &["CPU", "--device"]);
    on_cpu(&["tune"]).fails(1, &["CPU twins"]);
    on_cpu(&["targets"]).fails(2, &["CPU", "--device"]);
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The launches of a trace by process.
fn launches(trace: &Value) -> Vec<(&str, Vec<&Value>)> {
    let events = trace["traceEvents"].as_array().expect("events");
    let names = events.iter().filter(|it| it["ph"] == "M");
    let of = |process: &'_ Value| {
        let own = events.iter().filter(|it| it["ph"] == "X" && it["pid"] == process["pid"]);
        own.collect::<Vec<_>>()
    };
    names.map(|it| (it["args"]["name"].as_str().expect("a name"), of(it))).collect()
}

fn trace_of(model: &str, root: Option<&Path>) -> (String, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.json");
    let arguments = [
        "bench",
        "-m",
        model,
        "-p",
        "8",
        "-n",
        "2",
        "-r",
        "1",
        "--no-probe",
        "--profile",
        "--trace",
        text_of(&file),
    ];
    let mut command = command(&arguments);
    if let Some(root) = root {
        command.env("RIDGELINE_ROOT", root);
    }
    let text = finish(command.arg("--no-install")).ok();
    (text, serde_json::from_slice(&fs::read(&file).expect("a trace")).expect("JSON"))
}

fn a_profile_accounts_for_every_launch() {
    let (text, trace) = trace_of("tiny-target", None);
    let processes = launches(&trace);
    let titles: Vec<_> = processes.iter().map(|it| it.0).collect();
    assert_eq!(titles, ["tiny-target tg1", "tiny-target pp8"]);
    for (title, events) in processes {
        // Four layers of at most nine launches, and embedding, norm, head and argmax.
        assert!(events.len() > 4 * 7 && events.len() <= 4 * 9 + 4, "{title}: {} launches", events.len());
        assert!(text.contains(&format!("{title}: {} launches", events.len())), "{text}");
        let mut end = 0.0;
        for event in &events {
            assert!(number(&event["ts"]) >= end - 1e-6 && number(&event["dur"]) >= 0.0, "{event}");
            end = number(&event["ts"]) + number(&event["dur"]);
            let args = &event["args"];
            assert!(["timestamps", "slope"].contains(&args["clock"].as_str().expect("a clock")), "{args}");
        }
        let bytes: f64 =
            events.iter().filter(|it| is_mat_vec(it)).map(|it| number(&it["args"]["bytes"])).sum();
        // The mat-vec kernels read every weight once, except the norms' weights.
        let inspected = ridgeline(&["inspect", "tiny-target", "--json"]).json();
        let weights = number(&inspected["tensor_bytes"]);
        let moved = bytes / weights;
        assert!((0.98..1.25).contains(&moved), "{title}: {moved} times the weights, activations included");
        assert!(end > 0.0);
    }
    let lm_head = |line: &&str| line.starts_with("| lm\\_head ") && line.contains("| mat\\_");
    let table: Vec<_> = text.lines().filter(lm_head).collect();
    assert_eq!(table.len(), 2, "{text}");
}

fn a_profile_compares_kernels_with_their_roofs() {
    // Ceilings and kernels are measured at different times, so a busy machine can give any ratio.
    one_of_five(shares_of_roofs, |shares| shares.iter().all(|it| (0.0..200.0).contains(it)));
}

/// The percentage of its roof that each kernel of a profile reaches.
fn shares_of_roofs() -> Vec<f64> {
    let arguments = ["bench", "-m", "tiny-draft", "-p", "0", "-n", "2", "-r", "1", "--profile"];
    let text = ridgeline(&arguments).ok();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let (_, table) = text.split_once("tiny-draft tg1:").expect("a profile");
    let mut lines = table.lines().filter(|line| line.starts_with('|')).map(cells);
    let header = lines.next().expect("a header");
    let column =
        |name: &str| header.iter().position(|it| it == name).unwrap_or_else(|| panic!("{name}: {text}"));
    let [roof, bound] = ["% of roof", "bound"].map(column);
    let rows: Vec<_> = lines.skip(1).collect();
    assert!(rows.len() > 8, "{text}");
    for row in &rows {
        assert!(["memory", "compute", "launch", "uncertain"].contains(&&*row[bound]), "{row:?}");
    }
    rows.iter().map(|row| row[roof].trim_end_matches('%').trim().parse().expect("a number")).collect()
}

fn int8_dot_products_report_how_logits_change() {
    let bench = |model: &str, output: &str| {
        let arguments =
            ["bench", "-m", model, "-p", "0", "-n", "2", "-r", "1", "--no-probe", "--integer", "-o", output];
        ridgeline(&arguments)
    };
    let moved = |text: &str| -> f64 {
        let (_, rest) =
            text.split_once("int8 dot products change the logits by ").expect("the change of the logits");
        rest.split_once(" %").and_then(|(number, _)| number.parse().ok()).expect("a number")
    };
    let table = bench("tiny-draft:q8_0", "md").ok();
    assert!(table.contains("integer Q8\\_0") && (0.01..5.0).contains(&moved(&table)), "{table}");
    // CSV is for programs, so the text goes to stderr. F16 weights have no int8 kernels, so no logit changes.
    let Done { stdout, stderr, .. } = bench("tiny-draft", "csv");
    assert!(!stdout.contains("change the logits") && moved(&stderr) == 0.0, "{stdout}{stderr}");
}

/// Whether a launch is one of the mat-vec kernels; the device's features decide which one.
fn is_mat_vec(launch: &Value) -> bool {
    ["mat_vec", "mat_vec_rows"].iter().any(|name| launch["name"] == *name)
}

/// A folder for `RIDGELINE_ROOT`, and the path of a model.
fn root() -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("models")).expect("a folder");
    let model = repository("models/tiny/draft.gguf");
    (root, text_of(&model).to_owned())
}

fn each_disabled_fusion_adds_launches() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.json");
    let count = |without: &[&str]| {
        let arguments = [
            "bench",
            "-m",
            "tiny-target",
            "-p",
            "0",
            "-n",
            "1",
            "-r",
            "1",
            "--no-probe",
            "--trace",
            text_of(&file),
        ];
        ridgeline(&[&arguments[..], without].concat()).ok();
        let trace: Value = serde_json::from_slice(&fs::read(&file).expect("a trace")).expect("JSON");
        launches(&trace)[0].1.len()
    };
    let merged = count(&[]);
    for (fusion, more) in [("qkv", 2), ("rope-append", 3), ("residual", 2), ("gate-up", 2)] {
        assert_eq!(count(&["--without", fusion]), merged + 4 * more, "{fusion}");
    }
    assert_eq!(count(&["--without", "qkv,rope-append,residual,gate-up"]), merged + 4 * 9);
    ridgeline(&["bench", "--without", "everything"]).fails(2, &["everything", "known are qkv"]);
}

fn tune_stores_choices_that_later_commands_use() {
    let (root, model) = root();
    let run = |arguments: &[&str]| -> Done {
        finish(command(arguments).env("RIDGELINE_ROOT", root.path()).arg("--no-install"))
    };
    let text = |root: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(root.join("target/ridgeline-cache")).into_iter().flatten().flatten();
        entries.map(|it| it.path()).filter(|it| text_of(it).contains("tuning-")).collect()
    };
    let found = run(&["tune", "-m", &model, "--json"]).json();
    let (passes, found) = (&found[0]["passes"], found[0]["linears"].as_array().expect("findings"));
    for n in [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64] {
        assert!(found.iter().any(|it| it["batch_size"] == n), "{n}");
    }
    for it in found.iter().filter(|it| !it["fastest"].is_null()) {
        assert!(number(&it["fastest_s"]) < number(&it["default_s"]), "{it}");
        assert_ne!(it["fastest"], it["default"], "{it}");
    }
    let [file] = &text(root.path())[..] else { panic!("one file for the device") };
    let adopted = found.iter().filter(|it| it["adopted"] == true).count();
    let stored = fs::read_to_string(file).expect("text");
    assert_eq!(stored.matches("[[product]]").count(), adopted, "{stored}");
    // A choice is adopted only after a test in a forward pass.
    let tried = passes.as_array().map_or(0, Vec::len);
    assert!(adopted == 0 || tried > 0, "{adopted} adopted, {tried} passes");

    // A choice written by hand is used in the next pass, and the tokens do not change.
    let words = ["run", "-m", &model, "-p", "It was", "-n", "8", "--temp", "0", "--json"];
    run(&["tune", "--reset"]).ok();
    assert!(!file.exists());
    let before = run(&words).json();
    let (_, plain) = trace_of(&model, Some(root.path()));
    let variant = |trace: &Value| -> String {
        let (_, events) = launches(trace).swap_remove(0);
        let head = events.iter().find(|it| it["cat"] == "lm_head" && is_mat_vec(it)).expect("a head");
        head["args"]["variant"].as_str().expect("a variant").to_owned()
    };
    let default = variant(&plain);
    let ours = default.replace("rows: 8", "rows: 4");
    let other = if ours == default { default.replace("rows: 4", "rows: 2") } else { ours };
    let stored = |it: &str| {
        format!(
            "[[product]]\nformat = \"F16\"\nvectors = 1\nrows = \"small\"\nvariant = \"{it}\"\ngain = 1.0\n"
        )
    };
    fs::write(file, stored(&other)).expect("a file");
    assert_eq!(variant(&trace_of(&model, Some(root.path())).1), other);
    assert_eq!(run(&words).json()["tokens"], before["tokens"]);

    // An unknown variant and an unreadable file are ignored: the defaults are used.
    fs::write(file, stored("MatVec { none: such }")).expect("a file");
    assert_eq!(variant(&trace_of(&model, Some(root.path())).1), default);
    fs::write(file, "no file of ours").expect("a file");
    assert_eq!(run(&words).json()["tokens"], before["tokens"]);
}

fn targets_report_verification_and_stability() {
    let verify = || {
        let report = ridgeline(&["targets", "--only", "verify", "-m", "tiny-draft", "--json"]).json();
        let targets = report["targets"].as_array().expect("findings").iter();
        targets.map(|it| ["lo", "value", "hi"].map(|key| number(&it["here"][key]))).collect::<Vec<_>>()
    };
    one_of_five(verify, |rows| {
        assert_eq!(rows.len(), 15, "two to sixteen rows");
        assert!(rows.iter().all(|it| it.is_sorted()), "{rows:?}");
        rows.iter().all(|&[_, value, _]| value > 0.2)
    });
    let report = ridgeline(&["targets", "--only", "stable", "-m", "tiny-draft", "--json"]).json();
    let stable = &report["targets"][0];
    assert_eq!(stable["claim"], "TGT-STABLE");
    assert_eq!(number(&stable["here"]["hi"]), 0.0, "{stable}");
    let compared = format!("0 of {} logits in 10 runs", 9 * 80 * 4096);
    assert!(stable["detail"].as_str().is_some_and(|it| it.starts_with(&compared)), "{stable}");
    let text = ridgeline(&["targets", "--only", "peer", "--peer", "/no/such/python"]);
    text.fails(1, &["the other engine cannot be measured", "/no/such/python"]);
}

fn targets_report_host_time_with_and_without_a_driver() {
    let host = || ridgeline(&["targets", "--only", "host", "--host", "tiny-draft", "--json"]).json();
    one_of_five(host, |report| {
        let targets = report["targets"].as_array().expect("findings");
        let bounds: Vec<_> = targets.iter().map(|it| it["target"]["at_most"].as_f64()).collect();
        assert_eq!(bounds, [Some(2.0), Some(60.0), None, None, None, None], "{report}");
        let [launch, recorded, share, driven] = [0, 2, 3, 4].map(|i| number(&targets[i]["here"]["value"]));
        // Encoding the same commands again without any lookup takes most of the host time.
        launch > 0.0 && recorded > 0.0 && driven > 0.0 && (0.2..1.5).contains(&share)
    });
}

/// A pipe gets Markdown. `script` of util-linux gives the command a terminal, which gets aligned text.
fn tables_are_markdown_in_pipes_and_plain_on_terminals() {
    let bench =
        ["bench", "-m", "tiny-draft:q8_0", "-p", "0", "-n", "2", "-r", "1", "--no-probe", "--no-install"];
    let piped = finish(&mut command(&bench)).ok();
    assert!(piped.starts_with("| model ") && piped.contains("Q8\\_0") && piped.contains("| ---"), "{piped}");
    if !cfg!(target_os = "linux") || Command::new("script").arg("--version").output().is_err() {
        return;
    }
    let on_terminal = |more: &str| {
        let line = format!("{} {}{more}", env!("CARGO_BIN_EXE_ridgeline"), bench.join(" "));
        let mut script = Command::new("script");
        script.env_remove("RIDGELINE_ROOT").env_remove("RIDGELINE_LOG").env("NODEVICE_SELECT", "1");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
        finish(&mut script).ok().replace('\r', "")
    };
    let plain = on_terminal("");
    assert!(plain.contains("\nmodel ") && plain.contains("\n───") && plain.contains("Q8_0"), "{plain}");
    assert!(!plain.contains('|') && !plain.contains('\\'), "{plain}");
    assert!(on_terminal(" -o md").contains("\n| model "));
}
