//! The answer: how fast the model runs, how fast it could run, and what takes the time of a token.

use super::scope::Step;
use crate::cut::Cut;
use ridgeline_experiment::report::number;
use ridgeline_roofline::{Bound, Machine, Measured, Part, Waterfall};
use serde::Serialize;

/// The speed of one model at one depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    /// Name and quantization of the model.
    pub model: String,
    /// Name of the device.
    pub device: String,
    /// Tokens in the KV cache.
    pub depth: usize,
    /// Tokens generated per second.
    pub rate: Measured,
    /// Tokens per second that bytes and arithmetic allow at the device's ceilings.
    pub best: Measured,
    /// Tokens per second that are left of it with today's launches and submissions at their measured costs.
    pub best_with_launches: Measured,
    /// What bounds the best.
    pub bound: Bound,
    /// The time of one token by cause.
    pub parts: Waterfall,
    /// Prompt tokens per second, where they were measured.
    pub prompt: Option<Measured>,
    /// The numbers of layers that were measured, where they are fewer than the model's.
    pub extrapolated: Option<Cut>,
}

impl Answer {
    /// The answer from a generation of `tokens` tokens.
    pub(crate) fn new(title: String, depth: usize, step: &Step, tokens: usize, machine: &Machine) -> Self {
        let n = tokens as f64;
        let prediction = step.timing.prediction(machine);
        let rate = |seconds: Measured| seconds.map(|s| n / s);
        Self {
            model: title,
            device: machine.name.clone(),
            depth,
            rate: rate(step.seconds),
            best: rate(prediction.roof()),
            best_with_launches: rate(prediction.explained()),
            bound: prediction.bound,
            parts: step.parts(machine, tokens as u64),
            prompt: None,
            extrapolated: step.cut,
        }
    }

    /// Fraction of the best rate that is reached.
    pub(crate) fn reached(&self) -> f64 {
        self.rate.value / self.best.value
    }

    /// The largest part of a token's time.
    fn largest(&self) -> (Part, f64) {
        let total = self.parts.total_ns().max(1) as f64;
        let most = self.parts.parts().into_iter().max_by_key(|(_, ns)| *ns);
        most.map_or((Part::Unexplained, 0.0), |(part, ns)| (part, ns as f64 / total))
    }

    /// The answer in three sentences.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let digits = |x: f64| number::digits(x, 3);
        let range = |m: Measured| format!("{} [{}, {}]", digits(m.value), digits(m.lo), digits(m.hi));
        let at = if self.depth > 0 { format!(" at depth {}", self.depth) } else { String::new() };
        let mut sentences = vec![format!(
            "{} generates {} tokens/s{at}, {} of the {} that the ceilings of {} allow.",
            self.model,
            range(self.rate),
            number::percent(self.reached()),
            range(self.best),
            self.device
        )];
        let (part, share) = self.largest();
        let share = number::percent(share);
        sentences.push(match part {
            Part::Weights => format!("It is bound by memory: {share} of a token is reading weights."),
            Part::Kv => format!("It is bound by memory: {share} of a token is reading the KV cache."),
            Part::Activations => format!("It is bound by memory: {share} of a token is moving activations."),
            Part::Compute => format!("It is bound by compute: {share} of a token is arithmetic beyond the memory time."),
            Part::Launches => format!("It is bound by launches: {share} of a token is starting kernels."),
            Part::Host => format!("It is bound by the host: {share} of a token is submission, waiting and readback."),
            Part::Inefficiency => format!(
                "The largest part of a token is kernel inefficiency, {share}: kernels take that much longer than their bytes \
                 and arithmetic need."
            ),
            Part::InSequence => format!(
                "The largest part of a token is the in-sequence penalty, {share}: kernels are slower back to back than isolated."
            ),
            Part::Unexplained => format!("The largest part of a token, {share}, is unexplained."),
        });
        let launches = self.best_with_launches;
        if launches.value < 0.97 * self.best.value {
            sentences.push(format!(
                "With today's number and cost of launches and submissions, the best is {} tokens/s.",
                range(launches)
            ));
        } else {
            sentences.push("Launches and submissions cost less than 3 % of the best speed.".to_owned());
        }
        if let Some(cut) = self.extrapolated {
            sentences.push(format!("These figures are extrapolated from {cut} with random weights."));
        }
        sentences
    }
}
