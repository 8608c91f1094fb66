//! The diagnosis on synthetic records, whose answers are known.

use super::{Diagnosis, Scope, Subject, cells, diagnose, sections};
use crate::measures::pass::Work;
use crate::synthetic::{launches, pass};
use ridgeline_experiment::data::Data;
use ridgeline_experiment::finding::Trial;
use ridgeline_experiment::published::Published;
use ridgeline_experiment::record::Record;
use ridgeline_roofline::{Cost, Machine, Part};
use serde_json::{Value, json};

/// A model whose token reads 10 MB in 2 ms, at a bandwidth of 10 GB/s: half of the best speed.
const TOKEN_S: f64 = 2e-3;

fn cost(bytes: u64) -> Cost {
    Cost { weights: bytes, flops: 1, launches: 1, ..Cost::ZERO }
}

/// A generation of 8 tokens with its kernels, isolated and back to back.
fn generation(model: &str, format: &str, token_s: f64, bytes: u64) -> Vec<Record> {
    let point = json!({ "model": model, "format": format, "work": "tg8", "depth": 0, "kernels": true });
    let mut records = pass(&point, 8.0 * token_s, cost(8 * bytes));
    for record in &mut records {
        record.row["pass"]["kernels"] =
            json!({ "isolated_s": 0.9 * token_s, "back_to_back_s": 0.95 * token_s });
    }
    records
}

/// The profile of one layer's product and of the output head, which reads a tenth of the bytes.
fn profile(model: &str, format: &str, tokens: usize, token_s: f64, bytes: u64) -> Vec<Record> {
    let point = json!({ "model": model, "format": format, "tokens": tokens, "depth": 0 });
    let mut records = launches(&point, &[("gate_up", 0.9 * token_s), ("lm_head", 0.1 * token_s)]);
    for record in &mut records {
        record.row["launches"][0]["cost"]["weights"] = json!(bytes * 9 / 10);
        record.row["launches"][1]["cost"]["weights"] = json!(bytes / 10);
    }
    records
}

fn subject() -> Subject {
    Subject { stored: "F16".to_owned(), ..Subject::whole("m", "stored", 0) }
}

fn diagnosis(records: &[Record], subject: &Subject) -> Diagnosis {
    let published = Published::load().expect("published numbers");
    let machine = Machine::flat("here", 10e9, 1e12).expect("positive");
    let data = Data::new(records, Some(&machine), &published);
    diagnose(&data, subject).expect("they deserialize").expect("a decode step")
}

/// The model in half precision, and profiles in two quantizations: half the bytes in 60 % of the time, and a third in 50 %.
fn survey() -> Vec<Record> {
    [
        generation("m", "stored", TOKEN_S, 10_000_000),
        profile("shape:m", "stored", 1, TOKEN_S, 10_000_000),
        profile("shape:m", "q8_0", 1, 0.6 * TOKEN_S, 5_000_000),
        profile("shape:m", "q4_k_m", 1, 0.5 * TOKEN_S, 3_000_000),
        profile("shape:m", "q2_k", 1, 0.4 * TOKEN_S, 1_500_000),
        profile("shape:m", "stored", 8, 2.0 * TOKEN_S, 10_000_000),
    ]
    .concat()
}

#[test]
fn the_answer_says_how_much_of_the_best_is_reached() {
    let answer = diagnosis(&survey(), &subject()).answer;
    assert!((answer.rate.value - 500.0).abs() < 10.0 && answer.rate.lo < answer.rate.hi, "{:?}", answer.rate);
    assert!((answer.best.value - 1000.0).abs() < 1.0, "{:?}", answer.best);
    let sentences = answer.sentences();
    assert!(
        sentences[0].starts_with("m F16 generates 49") || sentences[0].starts_with("m F16 generates 50"),
        "{sentences:?}"
    );
    assert!(sentences[1].contains("reading weights"), "{sentences:?}");
    assert_eq!(answer.parts.parts()[0].0, Part::Weights);
}

#[test]
fn a_quantization_is_predicted_from_its_kernels() {
    let found = diagnosis(&survey(), &subject());
    let names: Vec<&str> = found.formats.iter().map(|it| &*it.format).collect();
    assert_eq!(names, ["F16", "Q8_0", "Q4_K_M", "Q2_K"]);
    let q4 = &found.formats[2];
    let predicted = q4.predicted.expect("a profile");
    // Kernels take half the time: isolated 2 ms become 1 ms, and the step half of 2 ms.
    assert!(predicted.lo < 2.0 && 2.0 < predicted.hi && (predicted.value - 2.0).abs() < 0.1, "{predicted:?}");
    let advice = found.advice.iter().find(|it| it.finding.action.starts_with("quantize")).expect("a gain");
    assert_eq!(advice.finding.action, "quantize to Q4_K_M", "Q2_K has too few bits");
    assert_eq!(advice.finding.trial(), Trial::NotTried);
    let models: Vec<&Value> = advice.trial.iter().map(|cell| &cell.point["model"]).collect();
    assert_eq!(models, ["shape:m", "shape:m"]);
}

#[test]
fn a_trial_is_compared_with_its_prediction() {
    let run = |format: &str, token_s: f64| {
        let point = json!({ "model": "shape:m", "format": format, "work": "tg8", "depth": 0 });
        pass(&point, 8.0 * token_s, cost(8))
    };
    for (tried_s, trial) in [(0.5, Trial::AsPredicted), (1.1, Trial::NoGain), (0.75, Trial::Worse)] {
        let records = [survey(), run("stored", TOKEN_S), run("q4_k_m", tried_s * TOKEN_S)].concat();
        let found = diagnosis(&records, &subject());
        let q4 = found.formats.iter().find(|it| it.format == "Q4_K_M").expect("a row");
        assert!((q4.measured.expect("tried").value * tried_s - 1.0).abs() < 0.02);
        let advice = found.advice.iter().find(|it| it.finding.action == "quantize to Q4_K_M");
        assert_eq!(advice.expect("a trial does not change the choice").finding.trial(), trial);
    }
}

#[test]
fn a_batch_is_predicted_from_its_kernels() {
    let found = diagnosis(&survey(), &subject());
    let batch = found.advice.iter().find(|it| it.finding.action.contains("8 sequences")).expect("a batch");
    // Eight tokens in twice the time.
    assert!((batch.finding.predicted.value - 4.0).abs() < 0.2, "{:?}", batch.finding.predicted);
    assert_eq!(batch.finding.trial(), Trial::NotTried);
    let tried: Vec<&Value> = batch.trial.iter().map(|cell| &cell.point["sequences"]).collect();
    assert_eq!(tried, [&Value::Null, &json!(8)]);
    let point = json!({ "model": "m", "format": "stored", "work": "tg8", "depth": 0, "sequences": 8 });
    let together = diagnosis(&[survey(), pass(&point, 2.5 * 8.0 * TOKEN_S, cost(8))].concat(), &subject());
    let batch = together.advice.iter().find(|it| it.finding.action.contains("8 sequences")).expect("a batch");
    let measured = batch.finding.measured.expect("eight sequences were measured");
    assert!((measured.value - 8.0 / 2.5).abs() < 0.1, "{measured:?}");
    assert!((together.answer.rate.value - found.answer.rate.value).abs() < 1.0, "of one sequence");
    let text = sections::terminal(&found, &["everything".to_owned()]);
    for part in
        ["The answer\n", "What to change\n", "Which quantization\n", "everything", "quantize to Q4_K_M"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Passes over one, three and five tokens, and a draft whose token takes a tenth of the target's.
fn drafted(verify_s: [f64; 3]) -> Vec<Record> {
    let pass = |model: &str, work: &str, seconds: f64| {
        pass(&json!({ "model": model, "format": "stored", "work": work, "depth": 0 }), seconds, cost(8))
    };
    let [one, three, five] = verify_s.map(|s| s * TOKEN_S);
    let verified =
        [pass("m", "verify1", one), pass("m", "verify3", three), pass("m", "verify5", five)].concat();
    [survey(), verified, pass("d", "tg8", 0.8 * TOKEN_S)].concat()
}

#[test]
fn drafting_is_advised_where_verification_is_cheap() {
    let with_draft = Subject { draft: Some("d".to_owned()), ..subject() };
    let cheap = diagnosis(&drafted([1.0, 1.2, 1.5]), &with_draft);
    let advice =
        cheap.advice.iter().find(|it| it.finding.action == "draft 2 tokens with d").expect("it pays");
    // 1 + 0.65 + 0.65² tokens in 1.2 + 2 · 0.1 target tokens.
    assert!((advice.finding.predicted.value - 1.48).abs() < 0.02, "{:?}", advice.finding.predicted);
    assert_eq!(advice.trial[0].measure, "speculation");
    let dear = diagnosis(&drafted([1.0, 3.0, 5.0]), &with_draft);
    assert!(dear.advice.iter().all(|it| !it.finding.action.starts_with("draft")));
    assert!(dear.rejected.iter().any(|it| it.contains("does not pay")), "{:?}", dear.rejected);
    let without = diagnosis(&drafted([1.0, 1.2, 1.5]), &subject());
    assert!(without.rejected.iter().any(|it| it.contains("needs a draft model")), "{:?}", without.rejected);
}

#[test]
fn a_model_that_is_too_large_is_extrapolated_from_fewer_layers() {
    // A layer takes 1 ms, all else 2 ms: 12 ms with ten layers.
    let records =
        [generation("shape:m@1", "stored", 3e-3, 3_000), generation("shape:m@3", "stored", 5e-3, 5_000)]
            .concat();
    let scope = Scope { name: "shape:m".to_owned(), cut: Some([1, 3]), layers: 10 };
    let found = diagnosis(&records, &Subject { whole: scope.clone(), shape: scope, ..subject() });
    assert!((12e-3 * found.answer.rate.value - 1.0).abs() < 0.02, "{:?}", found.answer.rate);
    assert!((found.answer.best.value / (10e9 / 12_000.0) - 1.0).abs() < 0.01, "{:?}", found.answer.best);
    assert!(found.answer.sentences().last().expect("a sentence").contains("1 and 3 of 10 layers"));
}

#[test]
fn the_survey_profiles_every_quantization_once() {
    let subject = Subject { draft: Some("d".to_owned()), depth: 512, ..subject() };
    let cells = cells::survey(&subject, Work::generation(16));
    let ids: std::collections::BTreeSet<String> =
        cells.iter().map(ridgeline_experiment::matrix::Cell::id).collect();
    assert_eq!(ids.len(), cells.len());
    let launches: Vec<_> = cells.iter().filter(|cell| cell.measure == "launch").collect();
    // Stored, its cache in fewer bits, a batch, and seven others than F16.
    assert_eq!(launches.len(), 10);
    assert!(launches.iter().all(|cell| cell.point["model"] == "shape:m" && cell.point["depth"] == 512));
}
