//! What becomes here of the claims about formats: AG-C1 to AG-C4, and AG-C12 as far as it can be tested.

use super::{Point, Row};
use ridgeline_experiment::experiment::{Context, Entry};
use ridgeline_experiment::published::Claim;
use ridgeline_experiment::quality::Estimate;
use ridgeline_experiment::report::number;
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::{Comparison, Outcome, Verdict};
use ridgeline_roofline::Measured;

type SweepRow<'a> = &'a Entry<'a, Point, Row>;

/// What was found, and what of it has to lie where; `None` where a format is missing.
type Test = Option<(String, Vec<Comparison>)>;

/// The rung of a recipe whose weights went through no other.
fn find<'a>(rows: &[SweepRow<'a>], format: &str) -> Option<SweepRow<'a>> {
    rows.iter().copied().find(|it| it.point.requantized_from == "none" && it.point.format.eq_ignore_ascii_case(format))
}

/// Every claim, in the order of the study; none where its text is not among the published.
pub(super) fn verdicts(rows: &[SweepRow<'_>], context: &Context<'_>) -> Vec<Verdict> {
    let claim = |id: &str| context.published.claim(id).ok();
    let decide = |id: &str, compare: fn(&[SweepRow<'_>], u64) -> Test| {
        let claim: &Claim = claim(id)?;
        Some(match compare(rows, context.seed) {
            Some((here, comparisons)) => Verdict::decide(claim, here, &comparisons),
            None => Verdict::cannot(claim, "the matrix that was run lacks a format it speaks of"),
        })
    };
    let cannot = |id: &str, why: String| Some(Verdict::cannot(claim(id)?, why));
    let machines = "one machine is not enough: run the matrix on several, and compare their journals";
    let weights = same_format_two_weights(rows).unwrap_or_default();
    let no_qat =
        format!("no weights here were trained for their quantisation. {weights}").trim_end().to_owned();
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

/// Change of perplexity against half precision in percent, with the interval of the paired difference.
fn percent(rung: SweepRow<'_>) -> Measured {
    let Measured { value, lo, hi } = rung.row.vs_reference.delta_nll.interval();
    let [value, lo, hi] = [value, lo, hi].map(|it| 100.0 * it.exp_m1());
    Measured { value, lo, hi }
}

/// AG-C1. "Near-lossless" is put as less than 0.5 %, "about 4 %" as 2 to 6, "collapses" as more than the 10 % that the
/// study's own three-bit row exceeds and the 100 % that its two-bit row does.
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

/// Time of `slow` over that of `fast`: how many times faster `fast` is.
fn faster(fast: &[f64], slow: &[f64], seed: u64) -> Option<Measured> {
    stats::ratio_of_medians(slow, fast, seed)
}

/// AG-C2. The two changes against half precision share tokens, so that the error of their difference is at most what
/// independent errors give, as long as formats err on the same tokens.
fn best_point(rows: &[SweepRow<'_>], seed: u64) -> Test {
    let (q6, q5) = (find(rows, "q6_k")?, find(rows, "q5_k_m")?);
    let speed = faster(&q6.row.step_seconds(), &q5.row.step_seconds(), seed)?;
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
        Comparison::above("−ln p of Q5_K_M minus that of Q6_K", worse, 0.0),
    ];
    Some((here, comparisons))
}

/// AG-C3.
fn prefill_by_format(rows: &[SweepRow<'_>], seed: u64) -> Test {
    let names = ["f16", "q2_k", "q3_k_m", "q4_k_m", "q5_k_m", "q6_k"];
    let found: Vec<SweepRow<'_>> = names.iter().map(|name| find(rows, name)).collect::<Option<_>>()?;
    let ratio = |a: usize, b: usize| {
        let ratio = faster(&found[a].row.prompt_seconds(), &found[b].row.prompt_seconds(), seed)?;
        let what = format!("pp({}) / pp({})", found[a].point.label(), found[b].point.label());
        Some(Comparison::above(what, ratio, 1.0))
    };
    let pairs = [(0, 1), (1, 2), (2, 3), (2, 4), (2, 5)];
    let comparisons = pairs.into_iter().map(|(a, b)| ratio(a, b)).collect::<Option<_>>()?;
    let rate = |it: &SweepRow<'_>| format!("{} {}", it.point.label(), number::digits(it.row.prompt_rate(), 4));
    Some((found.iter().map(rate).collect::<Vec<_>>().join(", "), comparisons))
}

/// Rates that differ by no more count as equal.
const EQUAL: f64 = 0.05;

/// AG-3 as it can be tested: one format and kernel, two sets of weights. Rate and quality, in words.
pub(super) fn same_format_two_weights(rows: &[SweepRow<'_>]) -> Option<String> {
    let other = rows.iter().copied().find(|it| it.point.requantized_from != "none")?;
    let plain = find(rows, &other.point.format)?;
    // One ratio per turn: what disturbs a turn disturbs both of its halves.
    let ratios: Vec<f64> = other.row.interleaved_ns.iter().map(|&[it, own]| own as f64 / it as f64).collect();
    let rate = stats::median_interval(&ratios)?;
    let [own, changed] = [plain, other].map(percent);
    let equal = Comparison::within("rate", rate, 1.0 - EQUAL, 1.0 + EQUAL).outcome();
    let found = match equal {
        Outcome::Holds => {
            "the rates are equal within 5 %, as kernels have it whose work does not depend on values"
        }
        Outcome::DoesNotHold => "the rates differ by more than 5 %, which such kernels do not explain",
        Outcome::Undecided | Outcome::CannotBeTested => {
            "this run was too disturbed to say whether they are equal"
        }
    };
    Some(format!(
        "Two sets of weights in one format (AG-3): {} holds what the recipe before it left of the weights, {} the \
         weights themselves; kernels and bytes are the same. Taking interleaved_ns, the rate of the first over the second is \
         {:.3} [{:.3}, {:.3}]: {found}. Perplexity changes by {:+.2} % [{:+.2}, {:+.2}] and {:+.2} % [{:+.2}, {:+.2}].",
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
