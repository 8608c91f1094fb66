//! Verdicts on the claims about quantization: AG-C1 to AG-C4, and AG-C12 as far as it can be tested.

use super::{Point, Row};
use ridgeline_experiment::experiment::{Context, Entry};
use ridgeline_experiment::published::Claim;
use ridgeline_experiment::quality::Estimate;
use ridgeline_experiment::report::number;
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::{Comparison, Outcome, Verdict};
use ridgeline_roofline::Measured;

type SweepRow<'a> = &'a Entry<'a, Point, Row>;

/// The measured figures in words, and the comparisons; `None` where a row of the sweep is missing.
type Test = Option<(String, Vec<Comparison>)>;

/// The row of a quantization mix, with the model's own weights.
fn find<'a>(rows: &[SweepRow<'a>], format: &str) -> Option<SweepRow<'a>> {
    rows.iter().copied().find(|it| !it.point.is_requantized() && it.point.format.eq_ignore_ascii_case(format))
}

/// The verdicts in the order of the study; a claim without published text is omitted.
pub(super) fn verdicts(rows: &[SweepRow<'_>], context: &Context<'_>) -> Vec<Verdict> {
    let claim = |id: &str| context.published.claim(id).ok();
    let decide = |id: &str, compare: fn(&[SweepRow<'_>], u64) -> Test| {
        let claim: &Claim = claim(id)?;
        Some(match compare(rows, context.seed) {
            Some((here, comparisons)) => Verdict::decide(claim, here, &comparisons),
            None => Verdict::cannot(claim, "a quantization mix of the claim was not measured"),
        })
    };
    let cannot = |id: &str, why: String| Some(Verdict::cannot(claim(id)?, why));
    let machines = "the claim needs several devices: run the matrix on each, and compare their journals";
    let weights = same_format_two_weights(rows).unwrap_or_default();
    let no_qat =
        format!("no model here was trained with quantization (QAT). {weights}").trim_end().to_owned();
    [
        decide("AG-C1", quality_by_format),
        decide("AG-C2", best_point),
        decide("AG-C3", prefill_by_format),
        cannot("AG-C4", machines.to_owned()),
        cannot("AG-C12", no_qat),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Change of perplexity from half precision in percent, with the interval of the paired difference.
fn percent(row: SweepRow<'_>) -> Measured {
    let Measured { value, lo, hi } = row.row.vs_reference.delta_nll.interval();
    let [value, lo, hi] = [value, lo, hi].map(|it| 100.0 * it.exp_m1());
    Measured { value, lo, hi }
}

/// AG-C1. "Near-lossless" is tested as within 0.5 %, "about 4 %" as 2 to 6 %. "Collapses" is tested as more than 10 %
/// for three bits and more than 100 % for two, which the study's own rows exceed.
fn quality_by_format(rows: &[SweepRow<'_>], _: u64) -> Test {
    let at = |format| find(rows, format).map(percent);
    let [q8, q4, q3, q2] = [at("q8_0")?, at("q4_k_m")?, at("q3_k_m")?, at("q2_k")?];
    let here = [q8, q4, q3, q2].map(|it| format!("{:+.2}", it.value)).join(", ");
    let comparisons = vec![
        Comparison::within("Δ PPL of Q8_0, %", q8, -0.5, 0.5),
        Comparison::within("Δ PPL of Q4_K_M, %", q4, 2.0, 6.0),
        Comparison::above("Δ PPL of Q3_K_M, %", q3, 10.0),
        Comparison::above("Δ PPL of Q2_K, %", q2, 100.0),
    ];
    Some((format!("{here} % (Q8_0, Q4_K_M, Q3_K_M, Q2_K)"), comparisons))
}

/// Speedup of `fast` over `slow`: ratio of their median times.
fn speedup(fast: &[f64], slow: &[f64], seed: u64) -> Option<Measured> {
    stats::ratio_of_medians(slow, fast, seed)
}

/// AG-C2. The standard error of the difference of two changes assumes that they are independent.
///
/// Both changes are on the same tokens. If they correlate positively, the true error is smaller.
fn best_point(rows: &[SweepRow<'_>], seed: u64) -> Test {
    let (q6, q5) = (find(rows, "q6_k")?, find(rows, "q5_k_m")?);
    let speed = speedup(&q6.row.step_seconds(), &q5.row.step_seconds(), seed)?;
    let (a, b) = (q5.row.vs_reference.delta_nll, q6.row.vs_reference.delta_nll);
    let worse = Estimate { value: a.value - b.value, se: a.se.hypot(b.se) }.interval();
    let here = format!(
        "{} and {} tokens/s; PPL {:.3} and {:.3}",
        number::digits(q6.row.rate(), 4),
        number::digits(q5.row.rate(), 4),
        q6.row.ppl.value,
        q5.row.ppl.value
    );
    let comparisons = vec![
        Comparison::above("tg(Q6_K) / tg(Q5_K_M)", speed, 1.0),
        Comparison::above("NLL(Q5_K_M) − NLL(Q6_K), nats", worse, 0.0),
    ];
    Some((here, comparisons))
}

/// AG-C3.
fn prefill_by_format(rows: &[SweepRow<'_>], seed: u64) -> Test {
    let names = ["f16", "q2_k", "q3_k_m", "q4_k_m", "q5_k_m", "q6_k"];
    let found: Vec<SweepRow<'_>> = names.iter().map(|name| find(rows, name)).collect::<Option<_>>()?;
    let ratio = |a: usize, b: usize| {
        let ratio = speedup(&found[a].row.prompt_seconds(), &found[b].row.prompt_seconds(), seed)?;
        let what = format!("pp({}) / pp({})", found[a].point.label(), found[b].point.label());
        Some(Comparison::above(what, ratio, 1.0))
    };
    let pairs = [(0, 1), (1, 2), (2, 3), (2, 4), (2, 5)];
    let comparisons = pairs.into_iter().map(|(a, b)| ratio(a, b)).collect::<Option<_>>()?;
    let rate =
        |it: &SweepRow<'_>| format!("{} {}", it.point.label(), number::digits(it.row.prompt_rate(), 4));
    Some((found.iter().map(rate).collect::<Vec<_>>().join(", "), comparisons))
}

/// Largest relative difference at which two rates count as equal.
const EQUAL: f64 = 0.05;

/// AG-3: rate and quality of two sets of weights in one mix, with the same kernels, in words.
pub(super) fn same_format_two_weights(rows: &[SweepRow<'_>]) -> Option<String> {
    let other = rows.iter().copied().find(|it| it.point.is_requantized())?;
    let plain = find(rows, &other.point.format)?;
    // One ratio per pair: disturbances of the machine affect both runs of a pair.
    let ratios: Vec<f64> = other.row.interleaved_ns.iter().map(|&[it, own]| own as f64 / it as f64).collect();
    let rate = stats::median_interval(&ratios)?;
    let [own, changed] = [plain, other].map(percent);
    let equal = Comparison::within("rate", rate, 1.0 - EQUAL, 1.0 + EQUAL).outcome();
    let found = match equal {
        Outcome::Holds => {
            "the rates are equal within 5 %, as expected of kernels whose work does not depend on values"
        }
        Outcome::DoesNotHold => {
            "the rates differ by more than 5 %, which kernels whose work does not depend on values do not explain"
        }
        Outcome::Undecided | Outcome::CannotBeTested => {
            "the interval is too wide to decide whether the rates are equal within 5 %"
        }
    };
    Some(format!(
        "Two sets of weights in one quantization type (AG-3): {} has requantized weights, {} the model's own; kernels and \
         bytes are the same. In interleaved A/B runs, the rate of the first over the second is \
         {:.3} [{:.3}, {:.3}]: {found}. Perplexity changes from half precision by {:+.2} % [{:+.2}, {:+.2}] and \
         {:+.2} % [{:+.2}, {:+.2}].",
        other.point.label(),
        plain.point.label(),
        rate.value,
        rate.lo,
        rate.hi,
        changed.value,
        changed.lo,
        changed.hi,
        own.value,
        own.lo,
        own.hi,
    ))
}
