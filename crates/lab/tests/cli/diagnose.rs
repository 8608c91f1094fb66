//! `diagnose`: the answer and the advice of one model.

use crate::Test;
use crate::program::{on_cpu, ridgeline};
use serde_json::Value;

pub(crate) const TESTS: &[Test] =
    &[("a_diagnosis_needs_a_model_and_a_clock", a_diagnosis_needs_a_model_and_a_clock)];

pub(crate) const ON_A_DEVICE: &[Test] =
    &[("a_diagnosis_answers_and_says_what_it_tried", a_diagnosis_answers_and_says_what_it_tried)];

fn a_diagnosis_needs_a_model_and_a_clock() {
    ridgeline(&["diagnose", "-m", "nobody"]).fails(2, &["nobody", "tiny-target"]);
    ridgeline(&["diagnose", "-md", "nobody"]).fails(2, &["nobody"]);
    on_cpu(&["diagnose"]).fails(1, &["CPU", "--device"]);
}

/// Lower end, value and upper end of an interval, in order.
fn interval(value: &Value) -> [f64; 3] {
    let of = |key: &str| value[key].as_f64().unwrap_or_else(|| panic!("no {key} in {value}"));
    let [lo, middle, hi] = [of("lo"), of("value"), of("hi")];
    assert!(0.0 < lo && lo <= middle && middle <= hi, "{value}");
    [lo, middle, hi]
}

fn a_diagnosis_answers_and_says_what_it_tried() {
    // The time is up after the first round and one visit of each trial.
    let found = ridgeline(&["diagnose", "-m", "tiny-draft", "--max-time", "1s", "-o", "json"]).json();
    let answer = &found["answer"];
    let [_, rate, _] = interval(&answer["rate"]);
    interval(&answer["best"]);
    let parts = answer["parts"].as_object().expect("parts");
    let token_ns: f64 = parts.values().map(|ns| ns.as_f64().expect("nanoseconds")).sum();
    // The parts are of the newest visit, and the rate of all of them.
    assert!((token_ns * 1e-9 * rate - 1.0).abs() < 0.5, "{token_ns} ns a token at {rate} tokens/s");
    let formats = found["formats"].as_array().expect("quantizations");
    let now = formats.iter().filter(|it| it["is_now"] == true).count();
    assert!(now == 1 && formats.len() >= 8, "{now} of {}", formats.len());
    let bytes: Vec<f64> = formats.iter().map(|it| it["bytes"].as_f64().expect("bytes")).collect();
    assert!(bytes.is_sorted_by(|a, b| a >= b), "fewer bits are fewer bytes: {bytes:?}");
    let advice = found["advice"].as_array().expect("advice");
    let batch = advice.iter().find(|it| it["action"].as_str().is_some_and(|it| it.contains("8 sequences")));
    interval(&batch.expect("a batch always gains")["measured"]);
    for it in advice {
        interval(&it["predicted"]);
        assert!(it["measured"].is_object() || it["untried"].is_string(), "{it}");
    }
}
