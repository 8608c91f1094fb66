//! The predicted time of a decode step with other kernels, from isolated kernel times.
//!
//! ```text
//! x = isolated kernels with the change / isolated kernels now, visit by visit
//! added        T + isolated · (x − 1)         kernels cost in a step what they cost isolated
//! in proportion   host + (T − host) · x       all but the host's share of a step changes by the same factor
//! ```
//!
//! A step lies between the two. Their mean is the prediction, and its interval reaches over both and the error of x.

use super::scope::{Launches, Scope, Step};
use crate::measures::launch;
use crate::measures::mix;
use ridgeline_experiment::rows::Rows;
use ridgeline_measure::profile::Profiled;
use ridgeline_roofline::{Machine, Measured};

/// Relative error of a prediction beyond that of its measurements: kernels have other neighbours in a step.
const MODEL_ERROR: f64 = 0.05;

/// What predictions start from: a decode step and its isolated kernels.
#[derive(Clone, Debug)]
pub(crate) struct Baseline<'a> {
    /// The model with the shapes of the kernels.
    pub scope: &'a Scope,
    /// Profiles of the model.
    pub launches: &'a Rows<'a, launch::Point, Profiled>,
    /// Seconds of one token.
    pub token_s: f64,
    /// Seconds of it that the host takes.
    pub host_s: f64,
    /// Depth of the profiles.
    pub depth: usize,
    /// Quantization of the profile to compare with.
    pub format: String,
}

impl<'a> Baseline<'a> {
    /// The baseline of a generation of `tokens` tokens.
    pub(crate) fn new(
        scope: &'a Scope,
        launches: &'a Rows<'a, launch::Point, Profiled>,
        (step, tokens): (&Step, usize),
        (depth, format): (usize, String),
        machine: &Machine,
    ) -> Self {
        let n = tokens as f64;
        let host_s = step.timing.prediction(machine).host_s / n;
        Self { scope, launches, token_s: step.seconds.value / n, host_s, depth, format }
    }

    /// The profile of a batch in a quantization and with a type of the cache.
    pub(crate) fn profile(
        &self,
        format: &str,
        tokens: usize,
        cache: Option<ridgeline_quant::Format>,
    ) -> Option<&Launches<'a>> {
        let (model, _) = self.scope.profiled();
        self.launches.find(|p| {
            let same = mix(&p.format).eq_ignore_ascii_case(mix(format));
            same && p.model == model && p.tokens == tokens && p.depth == self.depth && p.cache == cache
        })
    }

    /// The profile of today's decode step.
    pub(crate) fn now(&self) -> Option<&Launches<'a>> {
        self.profile(&self.format, 1, None)
    }

    /// Isolated kernel time of a profile over that of today's decode step.
    pub(crate) fn kernels_over_now(&self, other: &Launches<'_>) -> Option<Measured> {
        let isolated = |row: &Profiled| Some(self.scope.isolated_s(row));
        other.ratio(isolated, self.now()?, isolated)
    }

    /// The same for the kernels of the layers, for a batch: its profile has logits of one token only.
    pub(crate) fn layers_over_now(&self, batch: &Launches<'_>) -> Option<Measured> {
        let layers = |row: &Profiled| Some(self.scope.layers_s(row));
        batch.ratio(layers, self.now()?, layers)
    }

    /// Time of a step whose isolated kernels take `kernels` times as long, over today's.
    pub(crate) fn time_over_now(&self, kernels: Measured) -> Option<Measured> {
        let isolated_s = self.scope.isolated_s(&self.now()?.row);
        let rest = self.host_s.min(self.token_s);
        let added = |x: f64| (self.token_s + isolated_s * (x - 1.0)).max(rest);
        let in_proportion = |x: f64| rest + (self.token_s - rest) * x;
        let over = |s: f64| s / self.token_s;
        let value = f64::midpoint(added(kernels.value), in_proportion(kernels.value));
        let lo = added(kernels.lo).min(in_proportion(kernels.lo));
        let hi = added(kernels.hi).max(in_proportion(kernels.hi));
        Some(Measured {
            value: over(value),
            lo: over(lo) * (1.0 - MODEL_ERROR),
            hi: over(hi) * (1.0 + MODEL_ERROR),
        })
    }

    /// Predicted tokens/s over today's of a change that a profile shows.
    pub(crate) fn gain(&self, other: &Launches<'_>) -> Option<Measured> {
        Some(self.time_over_now(self.kernels_over_now(other)?)?.map(f64::recip))
    }
}
