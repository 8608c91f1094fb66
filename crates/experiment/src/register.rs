//! The register of claims: a verdict or a reason for every claim of the published studies, from the values of studies.
//!
//! ```text
//! for each claim:
//!     for each comparison: its values are those of that name, one for each model or shape
//!         the 95 % interval inside its range: holds; outside: does not hold; across an end: undecided
//!     Holm's correction over the claims of a study: a decision that it does not support is undecided
//!     no value: cannot be tested here, with the reason
//! ```

use crate::Error;
use crate::because::plain;
use crate::caveats::caveats;
use crate::data::Data;
use crate::published::{Beside, Claim, Published, Requirement};
use crate::record::{Record, Status};
use crate::stats;
use crate::study::{Chapter, Study, Value};
use crate::verdict::{Comparison, Outcome, Range, Unit, Verdict, all};
use ridgeline_roofline::Measured;
use statrs::distribution::{ContinuousCDF, Normal};

/// Familywise level of the claims of one study.
const ALPHA: f64 = 0.05;

/// The chapters of all studies, and a verdict for every claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conclusions {
    /// Study id and chapter; studies without records are left out.
    pub chapters: Vec<(&'static str, Chapter)>,
    /// One verdict a claim, in the order of the published files.
    pub verdicts: Vec<Verdict>,
}

/// Draws the conclusions of every study, and decides every claim.
///
/// `failures` are the newest records of cells that are not ok. `control` is the relative error of the run's own controls,
/// by which intervals are widened before they are compared.
///
/// # Errors
/// Where a record does not deserialize to its measure's types.
pub fn conclude(
    studies: &[&'static Study],
    data: &Data<'_>,
    failures: &[&Record],
    control: f64,
) -> Result<Conclusions, Error> {
    let mut chapters = Vec::new();
    for study in studies {
        let chapter = (study.conclude)(data)?;
        if !chapter.is_empty() {
            chapters.push((study.id, chapter));
        }
    }
    let values: Vec<&Value> = chapters.iter().flat_map(|(_, chapter)| &chapter.values).collect();
    let sources = Sources { studies, data, failures };
    let mut verdicts: Vec<(Verdict, f64)> =
        data.published().claims().iter().map(|claim| verdict(claim, &values, &sources, control)).collect();
    correct(&mut verdicts);
    Ok(Conclusions { chapters, verdicts: verdicts.into_iter().map(|it| it.0).collect() })
}

/// Checks that every claim names known studies and values.
///
/// # Errors
/// [`Error::UnknownValue`] where no study of the list produces a value that a claim compares.
pub fn check(studies: &[&'static Study], published: &Published) -> Result<(), Error> {
    for claim in published.claims() {
        let values = claim.compare.iter().map(|it| &it.value).chain(claim.beside.iter().map(|it| &it.value));
        for value in values {
            let produces = |study: &&&Study| study.values.contains(&value.as_str());
            if studies.iter().find(produces).is_none() {
                let (claim, study) = (claim.id.clone(), claim.study.clone());
                return Err(Error::UnknownValue { claim, value: value.clone(), study });
            }
        }
    }
    Ok(())
}

/// The verdict on a claim, and the p value of its decision.
fn verdict(claim: &Claim, values: &[&Value], sources: &Sources<'_>, control: f64) -> (Verdict, f64) {
    let named = |name: &str| values.iter().copied().filter(|it| it.name == name).collect::<Vec<_>>();
    let mut comparisons = Vec::new();
    let mut compared: Vec<&Value> = Vec::new();
    let mut evidence: Vec<String> = Vec::new();
    let mut here = Vec::new();
    let mut missing = None;
    for requirement in &claim.compare {
        let own = named(&requirement.value);
        if own.is_empty() {
            missing = missing.or(Some(requirement));
        }
        for value in own {
            evidence.extend(
                value.evidence.iter().filter(|id| !evidence.contains(id)).cloned().collect::<Vec<_>>(),
            );
            here.push(measured(value, requirement.unit));
            compared.push(value);
            comparisons.push(comparison((requirement.range, requirement.unit), value, control));
        }
    }
    let beside = claim.beside.iter().filter_map(|it| beside(it, &named(&it.value), control));
    let because = match (&claim.needs, missing) {
        (Some(needs), _) if needs.starts_with("study ") => Some(needs.clone()),
        (Some(needs), _) => Some(format!("something is missing here: {needs}")),
        (None, Some(requirement)) => Some(reason(claim, requirement, sources)),
        (None, None) => None,
    };
    let outcomes: Vec<Outcome> = comparisons.iter().map(Comparison::outcome).collect();
    // One comparison refutes a claim, also where the value of another is missing.
    let refuted = outcomes.contains(&Outcome::DoesNotHold);
    let because = because.filter(|_| !refuted);
    let outcome = if because.is_some() { Outcome::CannotBeTested } else { all(&outcomes) };
    let p = decisive(&comparisons, outcome);
    let sentences = || comparisons.iter().map(Comparison::sentence).collect::<Vec<_>>().join("; ");
    let verdict = Verdict {
        claim: claim.id.clone(),
        study: claim.study.clone(),
        text: claim.text.clone(),
        published: claim.published.clone(),
        recomputed: claim.recomputed.clone(),
        here: if here.is_empty() { "–".to_owned() } else { here.join("; ") },
        beside: beside.collect(),
        outcome,
        prediction: claim.prediction.clone(),
        test: claim.test.clone(),
        because: because.unwrap_or_else(sentences),
        holm_p: None,
        caveats: caveats(&compared, sources.data, control),
        evidence,
        comparisons,
    };
    (verdict, p)
}

/// Values beside a verdict in text. With a range they have an outcome, without Holm's correction: it decides nothing.
fn beside(it: &Beside, values: &[&Value], control: f64) -> Option<String> {
    let figures = values.iter().map(|value| measured(value, it.unit)).collect::<Vec<_>>().join("; ");
    let outcomes = |range| -> Vec<Outcome> {
        values.iter().map(|value| comparison((range, it.unit), value, control).outcome()).collect()
    };
    let text = it.test.map_or_else(String::new, |(range, predicted)| {
        let outcome = all(&outcomes(range));
        let expected = match predicted {
            it if it == outcome => "as predicted".to_owned(),
            other => format!("predicted: {}", other.label()),
        };
        format!("{} ({expected}), required {}: ", outcome.label(), it.unit.range(range))
    });
    (!values.is_empty()).then(|| format!("{}: {text}{figures}", it.why))
}

/// A value in text: what was measured, and its interval.
fn measured(value: &Value, unit: Unit) -> String {
    format!("{} {}", value.what, unit.interval(value.value)).trim_start().to_owned()
}

/// A value against its range. The error of the run's controls widens the interval, as far as times are behind the value.
fn comparison((range, unit): (Range, Unit), value: &Value, control: f64) -> Comparison {
    let Measured { value: v, lo, hi } = value.value;
    let error = control * value.per_time;
    let what = if value.what.is_empty() {
        value.name.to_owned()
    } else {
        format!("{} ({})", value.name, value.what)
    };
    let value_ = Measured { value: v, lo: lo - error, hi: hi + error };
    Comparison { what, value: value_, n: Some(value.visits), range, unit }
}

/// Where values come from: the studies, and the cells of this device.
struct Sources<'a> {
    studies: &'a [&'static Study],
    data: &'a Data<'a>,
    failures: &'a [&'a Record],
}

/// Why a claim's value is missing. Another experiment than the claim's own may produce it.
fn reason(claim: &Claim, requirement: &Requirement, sources: &Sources<'_>) -> String {
    let value = &requirement.value;
    let producer = sources.studies.iter().find(|it| it.values.contains(&value.as_str()));
    let study = producer.map_or(claim.study.as_str(), |it| it.id);
    let wanted = |r: &Record| r.studies.iter().any(|id| id == study);
    let own: Vec<&&Record> = sources.failures.iter().filter(|r| wanted(r)).collect();
    if let Some(first) = own.first() {
        let verb = if first.status == Status::Skipped { "cannot run here" } else { "failed" };
        let why = first.reason.as_deref().unwrap_or("no reason given");
        let cells = if own.len() == 1 { "cell" } else { "cells" };
        return format!("{} {cells} of {study} {verb}: {why}", own.len());
    }
    let devices = sources.data.devices().count();
    if devices < claim.devices {
        return format!(
            "it compares {} devices, and this run has {devices}: run `bench-all --study {study}` on another one, and `merge` the \
             two journals",
            claim.devices
        );
    }
    if sources.data.cells().iter().flatten().any(|r| wanted(r)) {
        let value = plain(value);
        return format!("the measured cells of {study} are too few for what the claim compares: {value}");
    }
    format!("the cells of {study} are not measured yet; run `bench-all --study {study}`")
}

/// p value of the decision. A claim holds if all comparisons do, so that the largest of their p values counts.
///
/// One comparison refutes a claim. The smallest p value then counts as often as there are comparisons (Bonferroni).
fn decisive(comparisons: &[Comparison], outcome: Outcome) -> f64 {
    let deciding = comparisons.iter().filter(|it| it.outcome() == outcome).map(p_value);
    match outcome {
        Outcome::Holds => deciding.fold(0.0, f64::max),
        Outcome::DoesNotHold => (comparisons.len() as f64 * deciding.fold(1.0, f64::min)).min(1.0),
        Outcome::Undecided | Outcome::CannotBeTested => 1.0,
    }
}

/// Two-sided p value that a value lies at the nearest end of its range, from its 95 % interval.
///
/// The standard error is the interval's half towards that end over 1.96. This normal approximation ignores the degrees of
/// freedom, which are many where the variance between visits is shared by all cells.
fn p_value(comparison: &Comparison) -> f64 {
    let Measured { value, lo, hi } = comparison.value;
    if hi - lo <= 0.0 {
        // A count is exact. It also decides at the end of a closed range, such as that of equality.
        return 0.0;
    }
    let ends = match comparison.range {
        Range::Above(t) | Range::Below(t) | Range::AtLeast(t) | Range::AtMost(t) => vec![t],
        Range::Within(low, high) => vec![low, high],
    };
    let nearest = ends.into_iter().min_by(|a, b| (a - value).abs().total_cmp(&(b - value).abs()));
    let (Some(end), Ok(normal)) = (nearest, Normal::new(0.0, 1.0)) else { return 1.0 };
    let half = if end < value { value - lo } else { hi - value };
    if half <= 0.0 {
        return if (end - value).abs() > 0.0 { 0.0 } else { 1.0 };
    }
    let z = (value - end).abs() / (half / normal.inverse_cdf(0.975));
    2.0 * normal.cdf(-z)
}

/// Holm's correction over the tested claims of each study. A decision that it does not support becomes undecided.
fn correct(verdicts: &mut [(Verdict, f64)]) {
    let prefix = |verdict: &Verdict| verdict.study.split('-').next().unwrap_or_default().to_owned();
    let mut studies: Vec<String> = verdicts.iter().map(|it| prefix(&it.0)).collect();
    studies.dedup();
    for study in studies {
        let tested = |it: &Verdict| it.outcome != Outcome::CannotBeTested;
        let (at, p): (Vec<usize>, Vec<f64>) = verdicts
            .iter()
            .enumerate()
            .filter(|(_, (verdict, _))| prefix(verdict) == study && tested(verdict))
            .map(|(i, (_, p))| (i, *p))
            .unzip();
        for (i, p) in at.into_iter().zip(stats::holm(&p)) {
            if p >= ALPHA && verdicts[i].0.outcome != Outcome::Undecided {
                let verdict = &mut verdicts[i].0;
                verdict.outcome = Outcome::Undecided;
                verdict.holm_p = Some(p);
                verdict.because +=
                    &format!("; p = {p:.3} after Holm's correction over the claims of {study}");
            }
        }
    }
}
