//! Output of `run`: streaming, seeds, timings, prompts from files.

use crate::Test;
use crate::program::{ids, on_cpu, one_of_five, ridgeline};
use serde_json::Value;

pub(crate) const TESTS: &[Test] = &[
    ("streamed_text_is_the_text_of_the_json", streamed_text_is_the_text_of_the_json),
    ("seeds_decide_samples", seeds_decide_samples),
    ("a_prompt_from_a_file_is_the_same_prompt", a_prompt_from_a_file_is_the_same_prompt),
    ("penalties_change_greedy_text", penalties_change_greedy_text),
    ("nothing_to_generate_is_fine", nothing_to_generate_is_fine),
    ("streamed_text_has_whole_characters", streamed_text_has_whole_characters),
    ("sampled_speculation_is_reproducible", sampled_speculation_is_reproducible),
];

pub(crate) const ON_A_DEVICE: &[Test] = &[("timings_are_consistent", timings_are_consistent)];

const RUN: [&str; 5] = ["run", "-m", "tiny-target", "-p", "It was a bright"];

fn json(flags: &[&str]) -> Value {
    on_cpu(&[&RUN, flags, &["--json"]].concat()).json()
}

fn streamed_text_is_the_text_of_the_json() {
    let flags = ["-n", "24", "--temp", "0"];
    let done = on_cpu(&[&RUN, &flags[..]].concat());
    assert!(
        done.stderr.contains("prompt eval time") && done.stderr.contains("tokens per second"),
        "{}",
        done.stderr
    );
    let streamed = done.ok();
    let got = json(&flags);
    assert_eq!(streamed, format!("{}\n", got["text"].as_str().expect("text")));
    assert_eq!((ids(&got["tokens"]).len(), &got["finish"]), (24, &Value::from("length")));
    assert_eq!(got["model"]["name"], "tiny-target");
}

fn seeds_decide_samples() {
    let sample =
        |seed: &str| json(&["-n", "24", "--temp", "1.5", "--top-k", "0", "-s", seed])["text"].clone();
    assert_eq!(sample("1"), sample("1"));
    assert_ne!(sample("1"), sample("2"));
    // With one candidate sampling is greedy.
    let narrow = json(&["-n", "16", "--temp", "1.5", "--top-k", "1", "-s", "9"]);
    assert_eq!(narrow["tokens"], json(&["-n", "16", "--temp", "0"])["tokens"]);
}

fn a_prompt_from_a_file_is_the_same_prompt() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prompt");
    std::fs::write(&file, "It was a bright").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let from_file = on_cpu(&["run", "-m", "tiny-target", "-f", file, "-n", "8", "--temp", "0"]).ok();
    assert_eq!(from_file, on_cpu(&[&RUN, &["-n", "8", "--temp", "0"][..]].concat()).ok());
    on_cpu(&["run", "-m", "tiny-target", "-f", file, "-p", "both"]).fails(2, &["cannot be used with"]);
    on_cpu(&["run", "-m", "tiny-target", "-f", "no-such-prompt"]).fails(1, &["no-such-prompt"]);
}

fn penalties_change_greedy_text() {
    let plain = json(&["-n", "32", "--temp", "0"]);
    let penalised = json(&["-n", "32", "--temp", "0", "--repeat-penalty", "1.5", "--repeat-last-n", "-1"]);
    let distinct =
        |it: &Value| ids(&it["tokens"]).into_iter().collect::<std::collections::HashSet<_>>().len();
    assert!(distinct(&penalised) > distinct(&plain), "{} {}", penalised["text"], plain["text"]);
}

fn nothing_to_generate_is_fine() {
    let got = json(&["-n", "0"]);
    assert_eq!((&got["text"], ids(&got["tokens"]).len()), (&Value::from(""), 0));
    assert!(got["timings"]["predicted_per_second"].is_null(), "zero tokens have no rate");
}

fn streamed_text_has_whole_characters() {
    // At this temperature the model emits single bytes, most of which are invalid UTF-8.
    let flags = ["-n", "200", "--temp", "8", "--top-k", "0", "--top-p", "1", "--min-p", "0", "--ignore-eos"];
    let got = json(&flags);
    assert_eq!(ids(&got["tokens"]).len(), 200);
    let streamed = on_cpu(&[&RUN, &flags[..]].concat()).ok();
    assert_eq!(streamed, format!("{}\n", got["text"].as_str().expect("text")));
}

fn sampled_speculation_is_reproducible() {
    let speculate = |seed: &str| {
        let models = ["speculate", "-m", "tiny-target", "-md", "tiny-draft", "-p", "It was a bright"];
        on_cpu(&[&models, &["-n", "40", "--json", "-s", seed][..]].concat()).json()
    };
    let (one, again, other) = (speculate("1"), speculate("1"), speculate("2"));
    assert_eq!((&one["tokens"], &one["acceptance_rate"]), (&again["tokens"], &again["acceptance_rate"]));
    assert_ne!(one["tokens"], other["tokens"]);
    let rate = one["acceptance_rate"].as_f64().expect("something was drafted");
    assert!((0.05..1.0).contains(&rate), "the draft model agrees with the target sometimes: {rate}");
    assert!(one["baseline"].is_null() && one["speedup"].is_null(), "not asked for");
}

fn timings_are_consistent() {
    let begun = std::time::Instant::now();
    let got = ridgeline(&[&RUN, &["-n", "32", "--temp", "0", "--json"][..]].concat()).json();
    let wall = begun.elapsed().as_nanos();
    let times = &got["timings"];
    let ns = |key: &str| times[key].as_u64().expect("nanoseconds");
    assert_eq!(ns("ttft_ns"), ns("tokenize_ns") + ns("prompt_ns"));
    let inside = ns("encode_ns") + ns("submit_ns") + ns("wait_ns");
    let around = ns("prompt_ns") + ns("predicted_ns");
    assert!(inside > 0 && inside <= around, "device time {inside} is within {around}");
    assert!(u128::from(around + ns("load_ns")) < wall);
    // One for the prompt, one for the first decode step, and up to sixteen decode steps in each other one.
    assert!((4..=32).contains(&ns("submissions")), "{times}");
    let sampled = |top_k: &str| {
        let flags = ["-n", "32", "--temp", "0.8", "--seed", "1", "--top-k", top_k, "--json"];
        let got = ridgeline(&[&RUN, &flags[..]].concat()).json();
        let submissions = got["timings"]["submissions"].as_u64().expect("a number");
        (submissions, got["tokens"].as_array().map_or(0, Vec::len) as u64)
    };
    // With sampling on the device, a submission has as many decode steps as fit 50 ms.
    one_of_five(|| sampled("40"), |&(submissions, tokens)| (3..tokens).contains(&submissions));
    let (submissions, tokens) = sampled("0");
    assert_eq!(submissions, tokens, "the host samples every token");
    // If the first token is EOS, the prompt still has a time.
    let ended =
        ["run", "-m", "tiny-target:q8_0", "-p", &"the old prince had been in the room, and ".repeat(12)];
    let got = ridgeline(&[&ended[..], &["-n", "8", "--temp", "0", "--json"]].concat()).json();
    assert_eq!((got["tokens"].as_array().map(Vec::len), &got["finish"]), (Some(0), &Value::from("stop")));
    assert!(got["timings"]["prompt_per_second"].as_f64().is_some_and(|it| it > 0.0), "{got}");
    let rate = times["predicted_per_second"].as_f64().expect("a rate");
    assert!((rate * ns("predicted_ns") as f64 / 1e9 - 31.0).abs() < 1e-6, "31 tokens follow the first");
}
