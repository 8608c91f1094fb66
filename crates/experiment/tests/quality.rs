//! Perplexity and KL divergence against values computed from their definitions with Python's `decimal`, 50 digits.

use ridgeline_experiment::quality::{Estimate, LogSoftmax, Paired, Perplexity};

const MODEL: [[f32; 4]; 4] =
    [[1.0, 2.0, 0.5, -1.0], [0.0, 0.25, 3.0, 1.5], [-2.0, 4.0, 4.5, 0.0], [80.0, 80.5, -80.0, 79.0]];
const REFERENCE: [[f32; 4]; 4] =
    [[1.25, 1.75, 0.5, -0.5], [0.5, 0.25, 2.5, 1.75], [-1.0, 5.0, 4.5, 0.0], [80.0, 81.5, -80.0, 78.0]];
const NEXT: [usize; 4] = [1, 2, 0, 3];

#[track_caller]
fn near(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-12 * want.abs(), "got {got}, want {want}");
}

fn log_softmax(row: &[f32]) -> LogSoftmax<'_> {
    LogSoftmax::of(row).expect("a row of numbers")
}

#[test]
fn perplexity_and_its_error() {
    let mut perplexity = Perplexity::default();
    for (row, next) in MODEL.iter().zip(NEXT) {
        assert_eq!(perplexity.estimate().is_some(), perplexity.nll().len() >= 2);
        perplexity.push(-log_softmax(row).log_p(next).expect("within the row"));
    }
    near(perplexity.nll()[0], 0.495_181_898_085_856_05);
    near(perplexity.nll()[2], 6.981_897_055_869_355);
    let estimate = perplexity.estimate().expect("four tokens");
    near(estimate.value, 11.797_415_672_195_617);
    near(estimate.se, 18.384_674_708_763_23);
}

#[test]
fn pairs_on_the_same_tokens() {
    let mut paired = Paired::default();
    for ((model, reference), next) in MODEL.iter().zip(&REFERENCE).zip(NEXT) {
        assert!(paired.push(&log_softmax(model), &log_softmax(reference), next));
    }
    let summary = paired.summary().expect("four positions");
    near(summary.delta_nll.value, -0.391_186_775_422_334_02);
    near(summary.delta_nll.se, 0.444_428_006_918_825_7);
    near(summary.ppl_ratio.value, 0.676_253_836_647_029_4);
    near(summary.ppl_ratio.se, 0.300_546_144_792_302_5);
    near(summary.kl.value, 0.093_298_080_541_648_2);
    near(summary.kl.se, 0.027_289_235_482_071_433);
    near(summary.kl_median, 0.095_557_785_637_693_61);
    near(summary.kl_p90, 0.143_240_231_665_364_42);
    near(summary.kl_p99, 0.151_223_755_789_282_2);
    near(summary.kl_p999, 0.152_022_108_201_673_98);
    near(summary.kl_max, 0.152_110_814_025_273_06);
    assert_eq!(summary.top1_agreement, Estimate { value: 0.75, se: 0.25 });
}

#[test]
fn a_model_is_like_itself() {
    let mut paired = Paired::default();
    for (row, next) in MODEL.iter().zip(NEXT) {
        assert!(paired.push(&log_softmax(row), &log_softmax(row), next));
    }
    let summary = paired.summary().expect("four positions");
    let nothing = Estimate { value: 0.0, se: 0.0 };
    assert_eq!((summary.delta_nll, summary.kl, summary.kl_max), (nothing, nothing, 0.0));
    assert_eq!(summary.top1_agreement, Estimate { value: 1.0, se: 0.0 });
    assert_eq!(summary.ppl_ratio, Estimate { value: 1.0, se: 0.0 });
}

#[test]
fn huge_and_absent_logits() {
    // exp(30000) overflows; a constant added to every logit changes nothing.
    let near_top = log_softmax(&[30_000.0, 29_999.0, -30_000.0]);
    near(near_top.log_p(0).expect("a token"), -0.313_261_687_518_222_9);
    assert_eq!(near_top.log_p(3), None);
    // A token with probability 0 in the reference adds nothing; one with probability 0 in the model adds infinity.
    let never = [0.0, f32::NEG_INFINITY];
    let (always, even) = (log_softmax(&never), log_softmax(&[0.0, 0.0]));
    near(always.divergence(&even).expect("equal lengths"), std::f64::consts::LN_2);
    assert_eq!(even.divergence(&always), Some(f64::INFINITY));
    assert_eq!(always.divergence(&near_top), None);
    assert!(LogSoftmax::of(&[]).is_none() && LogSoftmax::of(&[0.0, f32::NAN]).is_none());
    assert!(LogSoftmax::of(&[f32::NEG_INFINITY; 2]).is_none());
    assert_eq!(log_softmax(&[1.0, 3.0, 3.0]).top(), 1);
    assert!(!Paired::default().push(&near_top, &even, 0));
    assert!(Paired::default().summary().is_none());
}

#[test]
fn an_interval_is_two_errors_wide() {
    let interval = Estimate { value: 3.0, se: 0.5 }.interval();
    near(interval.hi - interval.lo, 1.959_963_984_540_054);
    assert_eq!(interval.value, 3.0);
    assert_eq!(Estimate::mean(&[1.0]), None);
}
