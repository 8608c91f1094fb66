//! What to change: each kind of advice with its predicted gain, the cells that try it, and the measured gain.

use super::formats::{self, FormatRow};
use super::predict::Baseline;
use super::scope::plain;
use super::{Answer, Source, cells};
use crate::measures::pass::{Point, Work};
use crate::measures::speculation;
use ridgeline_experiment::finding::Finding;
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::report::number;
use ridgeline_experiment::stats;
use ridgeline_quant::Format;
use ridgeline_roofline::{Measured, Part};
use ridgeline_speculative::planner;
use serde::Serialize;

/// Batch size of the advice to batch.
pub(crate) const BATCH: usize = 8;

/// Draft lengths of the advice to speculate.
pub(crate) const DRAFTS: [usize; 2] = [2, 4];

/// Type of the KV cache that is compared with F16.
pub(crate) const CACHE: Format = Format::BYTE;

/// Depth from which the type of the KV cache matters.
pub(crate) const LEAST_DEPTH: usize = 256;

/// Acceptance rates that published draft models reach on ordinary text, where none was measured.
const ACCEPTANCE: Measured = Measured { value: 0.65, lo: 0.45, hi: 0.85 };

/// Gain from which a change is worth a line.
pub(super) const LEAST_GAIN: f64 = 1.02;

/// Share of a token's time from which kernel inefficiency is worth tuning.
const LEAST_INEFFICIENCY: f64 = 0.1;

/// A finding, and the cells that try it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Advice {
    #[serde(flatten)]
    pub finding: Finding,
    /// The cells of a trial; none where `diagnose` does not try it.
    #[serde(skip)]
    pub trial: Vec<Cell>,
}

/// All advice, the largest gain first. `rows` are the quantizations.
pub(crate) fn advice(
    source: &Source<'_>,
    baseline: &Baseline<'_>,
    answer: &Answer,
    rows: &[FormatRow],
) -> Vec<Advice> {
    let found = [
        format(source, rows),
        cache(source, baseline),
        batch(source, baseline),
        speculate(source),
        tune(source, answer),
    ];
    let mut advice: Vec<Advice> = found.into_iter().flatten().collect();
    advice.sort_by(|a, b| b.finding.gain().value.total_cmp(&a.finding.gain().value));
    advice
}

/// Quantize to the fastest type with enough bits.
fn format(source: &Source<'_>, rows: &[FormatRow]) -> Option<Advice> {
    let (best, now) = (formats::recommended(rows)?, rows.iter().find(|it| it.is_now)?);
    let percent = number::percent(best.bytes / now.bytes);
    let quality = best
        .kl
        .map(|kl| format!("mean KL divergence of {} nats from half precision", number::digits(kl.value, 2)));
    let name = best.format.clone();
    let generation = |format: &str| cells::generations(&source.shape, format, source.work, source.depth);
    let trial = [generation(&source.format), generation(&name.to_lowercase())].concat();
    let finding = Finding {
        action: format!("quantize to {name}"),
        because: format!(
            "A token then reads {percent} of the bytes, at the measured speed of this type's kernels."
        ),
        predicted: best.predicted.or(best.measured)?,
        measured: best.measured,
        cost: Some(
            quality.unwrap_or_else(|| format!("{:.1} bits per weight; quality not measured", best.bits)),
        ),
        untried: None,
        command: Some(source.quantize_command(&name)),
        evidence: best.evidence.cells.clone(),
    };
    Some(Advice { finding, trial })
}

/// Store the KV cache in fewer bits.
fn cache(source: &Source<'_>, baseline: &Baseline<'_>) -> Option<Advice> {
    let profile = baseline.profile(&source.format, 1, Some(CACHE))?;
    let predicted = baseline.gain(profile)?;
    let same =
        |p: &Point| p.work.generated().is_some() && p.depth == source.depth && p.format == source.format;
    let with = |p: &Point| same(p) && p.cache == Some(CACHE);
    let without = |p: &Point| same(p) && p.is_default();
    let measured = source.whole.ratio(&source.passes, without, with);
    if predicted.value < LEAST_GAIN {
        return None;
    }
    let trial = cells::caches(&source.whole, &source.format, source.work, source.depth);
    let finding = Finding {
        action: format!("store the KV cache in {CACHE}"),
        because: format!("Attention at depth {} then reads about half the bytes.", source.depth),
        predicted,
        measured,
        cost: Some("small errors of keys and values; quality not measured".to_owned()),
        untried: None,
        command: Some(format!(
            "ridgeline bench -m {} -d {} -p 0 --cache-type-k {} --cache-type-v {}",
            source.model,
            source.depth,
            CACHE.spec().name.to_lowercase(),
            CACHE.spec().name.to_lowercase()
        )),
        evidence: profile.evidence().cells,
    };
    Some(Advice { finding, trial })
}

/// Decode several sequences in one pass.
fn batch(source: &Source<'_>, baseline: &Baseline<'_>) -> Option<Advice> {
    let profile = baseline.profile(&source.format, BATCH, None)?;
    let kernels = baseline.layers_over_now(profile)?;
    let n = BATCH as f64;
    let predicted = baseline.time_over_now(kernels)?.map(|over| n / over);
    let measured = source.verify_over_one(BATCH).map(|it| it.map(|it| n / it));
    let trial = cells::verifications(&source.whole, &source.format, &[1, BATCH], source.depth);
    let finding = Finding {
        action: format!("decode {BATCH} sequences in one pass"),
        because: "A pass reads the weights once for all its sequences, and starts its kernels once."
            .to_owned(),
        predicted,
        measured,
        cost: Some(format!(
            "each sequence runs at about {} of its speed; the gain is of all together",
            number::percent(measured.unwrap_or(predicted).value / n)
        )),
        untried: None,
        command: None,
        evidence: profile.evidence().cells,
    };
    Some(Advice { finding, trial })
}

/// Draft tokens with a smaller model, or what a draft would need.
fn speculate(source: &Source<'_>) -> Option<Advice> {
    let draft = source.draft.as_ref()?;
    let draft_s = source.token_s(draft)?;
    let target_s = source.token_s(&source.model)?;
    let c = draft_s.value / target_s.value;
    let v = |n: usize| source.verify_over_one(n);
    let of = |alpha: f64, gamma: usize| {
        Some(planner::speedup(planner::expected_tokens(alpha, gamma), gamma, v(gamma + 1)?.value, c))
    };
    let best = DRAFTS.into_iter().filter_map(|gamma| Some((gamma, of(ACCEPTANCE.value, gamma)?)));
    let (gamma, value) = best.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let predicted = Measured { value, lo: of(ACCEPTANCE.lo, gamma)?, hi: of(ACCEPTANCE.hi, gamma)? };
    let measured = source.speculated(gamma);
    if predicted.hi < LEAST_GAIN {
        return None;
    }
    let even = planner::break_even_alpha(gamma, v(gamma + 1)?.value, c);
    let even = even.map_or("No acceptance rate pays".to_owned(), |alpha| {
        format!("It pays above an acceptance rate of {}", number::percent(alpha))
    });
    let finding = Finding {
        action: format!("draft {gamma} tokens with {draft}"),
        because: format!(
            "{even}: a draft token costs {} of a target token, and verifying {} costs {} tokens.",
            number::percent(c),
            gamma + 1,
            number::digits(v(gamma + 1)?.value, 3)
        ),
        predicted,
        measured,
        cost: Some("memory for the draft model; greedy text stays the same".to_owned()),
        untried: None,
        command: Some(format!(
            "ridgeline speculate -m {} -md {draft} --draft-max {gamma} -p \"…\"",
            source.model
        )),
        evidence: Vec::new(),
    };
    Some(Advice { finding, trial: vec![cells::speculation(&source.model, draft, gamma)] })
}

/// Look for faster variants of the kernels.
fn tune(source: &Source<'_>, answer: &Answer) -> Option<Advice> {
    let total = answer.parts.total_ns().max(1) as f64;
    let excess = answer.parts.parts().into_iter().find(|it| it.0 == Part::Inefficiency)?.1 as f64 / total;
    if excess < LEAST_INEFFICIENCY || source.tuned {
        return None;
    }
    let finding = Finding {
        action: "tune the kernels for this device".to_owned(),
        because: format!(
            "Kernel inefficiency is {} of a token. Tuning can win back a part of it, or nothing.",
            number::percent(excess)
        ),
        // Nobody knows which part: from nothing to a half, which no tuned device exceeded.
        predicted: Measured { value: 1.0 / (1.0 - 0.1 * excess), lo: 1.0, hi: 1.0 / (1.0 - 0.5 * excess) },
        measured: None,
        cost: None,
        untried: Some("it takes minutes".to_owned()),
        command: Some(format!("ridgeline tune -m {}", source.model)),
        evidence: Vec::new(),
    };
    Some(Advice { finding, trial: Vec::new() })
}

impl Source<'_> {
    /// Seconds of one token of a model with a trained vocabulary, by its shortest generation at this depth.
    fn token_s(&self, model: &str) -> Option<Measured> {
        let is = |p: &Point| {
            p.model == model && p.depth == self.depth && p.is_default() && p.format == self.format
        };
        let entry = self.passes.find(|p| is(p) && p.work.generated().is_some())?;
        let n = entry.point.work.tokens() as f64;
        Some(entry.seconds()?.map(|s| s / n))
    }

    /// Time of verifying `n` tokens over that of one, at the nearest depth.
    fn verify_over_one(&self, n: usize) -> Option<Measured> {
        let names = self.whole.names();
        let own =
            |p: &Point| names.contains(&p.model) && p.format == self.format && p.work == Work::Verify(n);
        let depths = self.passes.iter().map(|e| &e.point).filter(|p| own(p)).map(|p| p.depth);
        let depth = depths.min_by_key(|depth| depth.abs_diff(self.depth))?;
        let verify = |rows: usize| {
            let (plain, format) = (plain(Work::Verify(rows), depth), self.format.clone());
            move |p: &Point| plain(p) && p.format == format
        };
        self.whole.ratio(&self.passes, verify(n), verify(1))
    }

    /// Measured speedup of greedy speculation with the draft.
    fn speculated(&self, gamma: usize) -> Option<Measured> {
        let is = |p: &speculation::Point| {
            p.target == self.model
                && Some(&p.draft) == self.draft.as_ref()
                && p.draft_max == gamma
                && p.temperature == 0.0
        };
        let per_token = |ns: &[u64], n: u64| Some(stats::median(&stats::seconds(ns))? / n as f64);
        self.speculation.find(is)?.interleaved(|row| {
            let [plain, speculating] = row.generated;
            Some(per_token(&row.baseline_ns, plain)? / per_token(&row.speculating_ns, speculating)?)
        })
    }
}
