//! What to change: each kind of advice with its predicted gain, the cells that try it, and the measured gain.

use super::formats::{self, FormatRow};
use super::predict::Baseline;
use super::scope::plain;
use super::{Answer, Source, cells, speculate};
use crate::measures::pass::{Point, Work};
use ridgeline_experiment::finding::Finding;
use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::report::number;
use ridgeline_quant::Format;
use ridgeline_roofline::{Measured, Part};
use serde::Serialize;
use std::num::NonZeroUsize;

/// Batch size of the advice to batch.
pub(crate) const BATCH: usize = 8;

/// Type of the KV cache that is compared with F16.
pub(crate) const CACHE: Format = Format::BYTE;

/// Depth from which the type of the KV cache matters.
pub(crate) const LEAST_DEPTH: usize = 256;

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
        speculate::advice(source),
        tune(source, answer),
    ];
    let mut advice: Vec<Advice> = found.into_iter().flatten().collect();
    advice.sort_by(|a, b| b.finding.gain().value.total_cmp(&a.finding.gain().value));
    advice
}

/// Share of a token's time from which launches are worth a sentence.
const LEAST_LAUNCHES: f64 = 0.2;

/// What was looked at and is not advised, with the reason.
pub(crate) fn rejected(source: &Source<'_>, answer: &Answer, rows: &[FormatRow]) -> Vec<String> {
    [launches(answer), formats::rejected(rows), speculate::rejected(source)].into_iter().flatten().collect()
}

/// Why launches cannot be fewer, where they take a large part of a token.
fn launches(answer: &Answer) -> Option<String> {
    let share = |part: Part| {
        let ns = answer.parts.parts().into_iter().find(|it| it.0 == part).map_or(0, |it| it.1);
        ns as f64 / answer.parts.total_ns().max(1) as f64
    };
    let share = share(Part::Launches) + share(Part::Host);
    (share >= LEAST_LAUNCHES).then(|| {
        format!(
            "Launches and submissions are {} of a token. All fusions are in use, so that only more tokens in one pass share \
             them.",
            number::percent(share)
        )
    })
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
    let measured = source.together_over_one(BATCH).map(|it| it.map(|it| n / it));
    let trial = cells::together(&source.whole, &source.format, (source.work, BATCH), source.depth);
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
        command: Some(format!("ridgeline bench -m {} -p 0 -d {} -npl 1,{BATCH}", source.model, source.depth)),
        evidence: profile.evidence().cells,
    };
    Some(Advice { finding, trial })
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
            "Kernel inefficiency is {} of a token. Tuning is assumed to win back between nothing and half of it.",
            number::percent(excess)
        ),
        // An assumption: from nothing to half of it.
        predicted: Measured { value: 1.0 / (1.0 - 0.1 * excess), lo: 1.0, hi: 1.0 / (1.0 - 0.5 * excess) },
        measured: None,
        cost: None,
        untried: Some("its command takes minutes".to_owned()),
        command: Some(format!("ridgeline tune -m {}", source.model)),
        evidence: Vec::new(),
    };
    Some(Advice { finding, trial: Vec::new() })
}

impl Source<'_> {
    /// Time of generating with `n` sequences together over that of one.
    fn together_over_one(&self, n: usize) -> Option<Measured> {
        let of = |n: usize| {
            move |p: &Point| {
                let same = p.work == self.work && p.depth == self.depth && p.format == self.format;
                let plain = Point { sequences: NonZeroUsize::MIN, ..p.clone() }.is_default();
                same && plain && p.sequences.get() == n
            }
        };
        self.whole.ratio(&self.passes, of(n), of(1))
    }

    /// Time of verifying `n` tokens over that of one, at the nearest depth.
    pub(super) fn verify_over_one(&self, n: usize) -> Option<Measured> {
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
}
