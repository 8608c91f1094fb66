//! Variations of a benchmark: ablated parts, submissions, clocks and numbers of sequences, and the columns that tell them apart.

use crate::globals::UsageError;
use ridgeline_experiment::bench_table::{BenchRow, Output};
use ridgeline_experiment::stats;
use ridgeline_measure::Error;
use ridgeline_measure::pass::{Clock, PassTiming, Submission};
use ridgeline_model::{Part, Parts, SessionOptions};
use serde_json::{Value, json};
use std::num::NonZeroUsize;

/// Flags of variations. Lists give a row for each combination.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct VariationArgs {
    #[arg(long, help = ablate_help(), value_name = "PARTS", value_delimiter = ',', value_parser = parts)]
    ablate: Vec<Parts>,
    /// Submit per launch, layer or pass, one token at a time; or pipelined, with several tokens in flight. After each
    /// submission the host waits. Separate several with commas [default: pipelined]
    #[arg(long, value_name = "HOW", value_delimiter = ',')]
    submission: Vec<Submission>,
    /// With --submission launch or layer: wait at the end of each pass only
    #[arg(long, requires = "submission")]
    no_wait: bool,
    /// Time until the results are read back (complete), without the wait for them (encode), or by device timestamps
    /// (device). Encode is an artefact of studies that do not wait. Separate several with commas [default: complete]
    #[arg(long, value_name = "CLOCK", value_delimiter = ',')]
    clock: Vec<Clock>,
    /// Sequences that share each forward pass, such as 1,2,4,8 (-npl of llama-batched-bench). Each has its own prompt, KV cache
    /// and generation. t/s is of all together, and a further column has the speed of each [default: one]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    n_parallel: Vec<NonZeroUsize>,
}

fn ablate_help() -> String {
    let parts: Vec<&str> = Part::ALL.iter().map(|it| it.name()).collect();
    format!(
        "Leave out parts of the forward pass (ablation): {}, all or none. Join parts with + to leave them out together. \
         Separate several variations with commas [default: none]",
        parts.join(", ")
    )
}

/// Parses parts joined by `+`, `all` or `none`.
fn parts(text: &str) -> Result<Parts, String> {
    match text {
        "all" => Ok(Parts::all()),
        "none" => Ok(Parts::NONE),
        _ => text.split('+').map(|part| part.parse::<Part>().map_err(|error| error.to_string())).collect(),
    }
}

/// Parts as [`parts`] reads them.
fn parts_text(parts: Parts) -> String {
    if parts.is_empty() {
        return "none".to_owned();
    }
    if parts == Parts::all() {
        return "all".to_owned();
    }
    parts.iter().map(Part::name).collect::<Vec<_>>().join("+")
}

/// One combination that needs a measurement of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variation {
    /// Parts left out.
    pub(crate) ablate: Parts,
    submission: Submission,
    /// Sequences that share each forward pass.
    pub(crate) sequences: NonZeroUsize,
}

impl Default for Variation {
    fn default() -> Self {
        Self { ablate: Parts::NONE, submission: Submission::default(), sequences: NonZeroUsize::MIN }
    }
}

/// A list, or its default where it is empty.
fn or_default<T: Copy>(list: &[T], default: T) -> Vec<T> {
    if list.is_empty() { vec![default] } else { list.to_vec() }
}

impl VariationArgs {
    /// Refuses flags that contradict each other.
    pub(crate) fn check(&self, output: Output) -> Result<(), UsageError> {
        let split = |it: &Submission| matches!(it, Submission::Launch | Submission::Layer);
        if self.no_wait && !self.submission.iter().any(split) {
            return Err(UsageError("--no-wait needs --submission launch or layer".to_owned()));
        }
        let varied = !(self.ablate.is_empty() && self.submission.is_empty() && self.clock.is_empty());
        if (varied || self.has_sequences()) && output == Output::Sql {
            let why = "llama-bench's SQL has no columns for --ablate, --submission, --clock and -npl: use -o csv or json";
            return Err(UsageError(why.to_owned()));
        }
        Ok(())
    }

    /// Whether the number of sequences was given.
    pub(crate) const fn has_sequences(&self) -> bool {
        !self.n_parallel.is_empty()
    }

    /// Every combination to measure.
    pub(crate) fn all(&self) -> Vec<Variation> {
        let submissions = or_default(&self.submission, Submission::default());
        let counts = or_default(&self.n_parallel, NonZeroUsize::MIN);
        let of = |it: Variation| submissions.iter().map(move |&submission| Variation { submission, ..it });
        let each = |it: Variation| counts.iter().map(move |&sequences| Variation { sequences, ..it });
        self.ablations().into_iter().flat_map(of).flat_map(each).collect()
    }

    /// The ablations. Submissions do not change the launches of a pass.
    pub(crate) fn ablations(&self) -> Vec<Variation> {
        let ablations = or_default(&self.ablate, Parts::NONE);
        ablations.into_iter().map(|ablate| Variation { ablate, ..Variation::default() }).collect()
    }

    /// The clocks, each a row of every measurement.
    pub(crate) fn clocks(&self) -> Vec<Clock> {
        or_default(&self.clock, Clock::default())
    }

    /// Options of the session that a variation needs.
    pub(crate) fn options(&self, variation: Variation, options: SessionOptions) -> SessionOptions {
        let options = SessionOptions { sequences: variation.sequences.get(), ..options };
        let options = variation.submission.options(!self.no_wait, options);
        self.clocks().into_iter().fold(options, |options, clock| clock.options(options))
    }

    /// The timing by one clock.
    ///
    /// # Errors
    /// [`Error::NoTimestamps`] where the device's timestamps are missing or implausible.
    pub(crate) fn timing(&self, pass: &PassTiming, clock: Clock, adapter: &str) -> Result<PassTiming, Error> {
        let samples_ns = pass.by(clock).to_vec();
        if samples_ns.is_empty() {
            return Err(Error::NoTimestamps { adapter: adapter.to_owned() });
        }
        Ok(PassTiming { samples_ns, ..pass.clone() })
    }

    /// What differs from the defaults, for progress messages and titles.
    pub(crate) fn describe(&self, variation: Variation) -> String {
        let Variation { ablate, submission, sequences } = variation;
        let mut text = String::new();
        if self.has_sequences() {
            text += &format!(", {sequences} sequence{}", if sequences.get() == 1 { "" } else { "s" });
        }
        if !ablate.is_empty() {
            text += &format!(", without {}", parts_text(ablate));
        }
        if submission != Submission::default() {
            text += &format!(
                ", submission {submission}{}",
                if self.waits(submission) { "" } else { ", no wait" }
            );
        }
        text
    }

    /// Whether the host waits for every submission of a pass.
    fn waits(&self, submission: Submission) -> bool {
        match submission {
            Submission::Launch | Submission::Layer => !self.no_wait,
            Submission::Pass => true,
            Submission::Pipelined => false,
        }
    }

    /// The names of [`Self::fields`].
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let fields = self.fields(Variation::default(), Clock::default(), &BenchRow::default());
        fields.into_iter().map(|(name, _)| name).collect()
    }

    /// The fields of the flags that were given, for a row.
    pub(crate) fn fields(
        &self,
        variation: Variation,
        clock: Clock,
        row: &BenchRow,
    ) -> Vec<(&'static str, Value)> {
        let Variation { ablate, submission, sequences } = variation;
        let mut fields = Vec::new();
        if self.has_sequences() {
            let each = stats::mean(&row.samples_ts()).map(|all| all / sequences.get() as f64);
            fields.push(("n_parallel", json!(sequences)));
            fields.push(("avg_ts_seq", json!(each.map(|rate| (100.0 * rate).round() / 100.0))));
        }
        if !self.ablate.is_empty() {
            fields.push(("ablate", json!(parts_text(ablate))));
        }
        if !self.submission.is_empty() {
            fields.push(("submission", json!(submission)));
            fields.push(("wait", json!(self.waits(submission))));
        }
        if !self.clock.is_empty() {
            fields.push(("clock", json!(clock)));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::{parts, parts_text};
    use ridgeline_model::{Part, Parts};

    #[test]
    fn parts_are_joined_by_plus() {
        for text in ["none", "all", "norm", "norm+rope"] {
            assert_eq!(parts(text).map(parts_text).as_deref(), Ok(text));
        }
        assert_eq!(parts("rope+norm"), Ok(Parts::NONE.with(Part::Rope).with(Part::Norm)));
        for wrong in ["", "norm,rope", "norm+", "none+norm"] {
            let error = parts(wrong).expect_err(wrong);
            assert!(error.contains("known are embed, norm, projection"), "{error}");
        }
    }
}
