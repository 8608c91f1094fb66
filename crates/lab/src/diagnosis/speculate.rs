//! Advice on speculative decoding: whether a draft model pays, and what it would need.

use super::advice::{Advice, LEAST_GAIN};
use super::{Source, cells};
use crate::measures::pass::Point;
use crate::measures::speculation;
use ridgeline_experiment::finding::{Finding, times};
use ridgeline_experiment::report::number;
use ridgeline_roofline::Measured;
use ridgeline_speculative::planner;

/// Draft lengths that are compared.
pub(crate) const DRAFTS: [usize; 2] = [2, 4];

/// Acceptance rate that is assumed of a draft model on ordinary text, and the range in which it is expected.
const ACCEPTANCE: Measured = Measured { value: 0.65, lo: 0.45, hi: 0.85 };

/// Time of a draft token over that of a target token, where no draft model is given.
const USUAL_COST: f64 = 0.1;

/// Speculation with the best draft length.
struct Plan {
    /// Draft length.
    gamma: usize,
    /// Time of a draft token over that of a target token.
    c: f64,
    /// Time of a verification over that of one token.
    v: f64,
    /// Speedup over the range of acceptance rates.
    speedup: Measured,
}

impl Plan {
    /// The plan of a draft whose token takes `c` target tokens; `None` where verification was not measured.
    fn new(source: &Source<'_>, c: f64) -> Option<Self> {
        let plan = |gamma: usize| {
            let v = source.verify_over_one(gamma + 1)?.value;
            let at = |alpha: f64| planner::speedup(planner::expected_tokens(alpha, gamma), gamma, v, c);
            let Measured { value, lo, hi } = ACCEPTANCE;
            Some(Self { gamma, c, v, speedup: Measured { value: at(value), lo: at(lo), hi: at(hi) } })
        };
        DRAFTS.into_iter().filter_map(plan).max_by(|a, b| a.speedup.value.total_cmp(&b.speedup.value))
    }

    /// From which acceptance rate it pays, and why.
    fn break_even(&self) -> String {
        let Self { gamma, c, v, .. } = self;
        let even = planner::break_even_alpha(*gamma, *v, *c).map_or_else(
            || "No acceptance rate pays".to_owned(),
            |alpha| format!("It pays above an acceptance rate of {}", number::percent(alpha)),
        );
        format!(
            "{even}: a draft token costs {} of a target token, and verifying {} tokens costs {} target tokens.",
            number::percent(*c),
            gamma + 1,
            number::digits(*v, 3)
        )
    }
}

/// Drafts with the given model, where that may pay.
pub(crate) fn advice(source: &Source<'_>) -> Option<Advice> {
    let draft = source.draft.as_ref()?;
    let plan = Plan::new(source, source.draft_cost()?)?;
    if plan.speedup.hi < LEAST_GAIN {
        return None;
    }
    let gamma = plan.gamma;
    let finding = Finding {
        action: format!("draft {gamma} tokens with {draft}"),
        because: plan.break_even(),
        predicted: plan.speedup,
        measured: source.speculated(gamma),
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

/// Why drafting is not advised, or what a draft model would need where none is given.
pub(crate) fn rejected(source: &Source<'_>) -> Option<String> {
    let Some(draft) = &source.draft else {
        let plan = Plan::new(source, USUAL_COST)?;
        return Some(format!("Speculation needs a draft model (-md). {}", plan.break_even()));
    };
    let plan = Plan::new(source, source.draft_cost()?)?;
    (plan.speedup.hi < LEAST_GAIN).then(|| {
        let range = format!("{} to {}", number::percent(ACCEPTANCE.lo), number::percent(ACCEPTANCE.hi));
        format!(
            "Drafting with {draft} does not pay: {} at acceptance rates of {range}. {}",
            times(plan.speedup),
            plan.break_even()
        )
    })
}

impl Source<'_> {
    /// Time of a token of the draft over that of a token of the model.
    fn draft_cost(&self) -> Option<f64> {
        Some(self.token_s(self.draft.as_ref()?)?.value / self.token_s(&self.model)?.value)
    }

    /// Seconds of one token of a model with a trained vocabulary, by its shortest generation at this depth.
    fn token_s(&self, model: &str) -> Option<Measured> {
        let is = |p: &Point| {
            p.model == model && p.depth == self.depth && p.is_default() && p.format == self.format
        };
        let entry = self.passes.find(|p| is(p) && p.work.generated().is_some())?;
        let n = entry.point.work.tokens() as f64;
        Some(entry.seconds()?.map(|s| s / n))
    }

    /// Measured speedup of greedy speculation with the draft.
    fn speculated(&self, gamma: usize) -> Option<Measured> {
        let is = |p: &speculation::Point| {
            p.target == self.model
                && Some(&p.draft) == self.draft.as_ref()
                && p.draft_max == gamma
                && p.temperature == 0.0
                && p.prompts.is_none()
        };
        self.speculation.find(is)?.interleaved(speculation::Row::speedup)
    }
}
