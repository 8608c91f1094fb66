//! What this program's own engine ought to reach on a device, as ratios to what the same device, or another engine on
//! it, reaches in the same minutes.

mod ceilings;
mod host;
mod load;
mod peer;
mod stable;
mod upload;

pub(crate) use ceilings::{against_ceilings, depth, products, verification};
pub(crate) use host::host;
pub(crate) use load::load;
pub(crate) use peer::{PeerModel, compare_llama_cpp};
pub(crate) use stable::stable;
pub(crate) use upload::upload;

use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::verdict::{Comparison, Outcome, Range};
use ridgeline_measure::pass::Test;
use ridgeline_measure::{Error, models};
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};

/// One target and what was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TargetResult {
    /// What is compared.
    pub what: String,
    /// The bound; `None` for a figure without one on this kind of device.
    pub target: Option<Range>,
    /// What was measured here, with its 95 % interval.
    pub here: Measured,
    /// The figures behind it.
    pub detail: String,
}

impl TargetResult {
    /// Met, missed or undecided: the whole interval has to be on one side.
    pub(crate) fn verdict(&self) -> &'static str {
        let Some(range) = self.target else { return "–" };
        let comparison = Comparison { what: self.what.clone(), value: self.here, n: None, range };
        match comparison.outcome() {
            Outcome::Holds => "met",
            Outcome::DoesNotHold => "missed",
            Outcome::Undecided => "undecided",
            Outcome::CannotBeTested => "–",
        }
    }
}

/// Repetitions that every ratio rests on.
const REPETITIONS: u32 = 10;

const BUDGET: Budget =
    Budget { warmup: 0, min_reps: REPETITIONS, max_reps: REPETITIONS, budget_s: f64::INFINITY };

/// One repetition, for turns.
const ONCE: Budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 0.0 };

const PROMPT: Test = Test { prompt: 64, generate: 0 };
const GENERATION: Test = Test { prompt: 0, generate: 16 };

/// What is measured; the file that ships.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Models that are verified, held against the ceilings and run again, on a software adapter.
    pub models: Vec<String>,
    /// The same on a GPU, which small models leave idle.
    pub gpu_models: Vec<String>,
    /// The model that is decoded at depth.
    pub deep: String,
    /// The model that is loaded.
    pub load: String,
    /// The model whose decode steps the host's cost is measured with.
    pub host: String,
    /// Models that another engine was measured with.
    pub peer: Vec<PeerModel>,
}

impl Plan {
    /// The plan that ships.
    pub(crate) fn shipped() -> Self {
        toml::from_str(include_str!("../../../../matrix/targets.toml")).expect("a test reads it")
    }
}

/// A model as a GGUF file for as long as the value lives.
fn file_of(model: &str) -> Result<tempfile::NamedTempFile, Error> {
    let folder = models::cache();
    let made = tempfile::Builder::new().suffix(".gguf").tempfile_in(&folder);
    let file = made.map_err(|source| models::Error::Io { path: folder, source })?;
    let checkpoint = models::checkpoint(model, None)?;
    let written = ridgeline_weights::write_gguf(&checkpoint, file.path(), |it| it.format);
    written.map_err(models::Error::from)?;
    // What the system still had to write would compete with what is measured.
    let synced = file.as_file().sync_all();
    synced.map_err(|source| models::Error::Io { path: file.path().to_owned(), source })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{Measured, Plan, Range, TargetResult};

    #[test]
    fn the_plan_names_models_there_are() {
        let plan = Plan::shipped();
        let models = plan.models.iter().chain(&plan.gpu_models);
        let peers = plan.peer.iter().map(|it| &it.model);
        for name in models.chain([&plan.deep, &plan.load, &plan.host]).chain(peers) {
            assert!(ridgeline_measure::models::checkpoint(name, None).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_verdict_needs_the_whole_interval() {
        let of = |target, lo, hi| {
            let here = Measured { value: (lo + hi) / 2.0, lo, hi };
            TargetResult { what: String::new(), target, here, detail: String::new() }.verdict()
        };
        assert_eq!(of(Some(Range::AtLeast(1.0)), 1.0, 2.0), "met");
        assert_eq!(of(Some(Range::AtLeast(1.0)), 0.9, 2.0), "undecided");
        assert_eq!(of(Some(Range::AtLeast(1.0)), 0.8, 0.9), "missed");
        assert_eq!(of(Some(Range::AtMost(1.0)), 0.8, 0.9), "met");
        assert_eq!(of(Some(Range::AtMost(1.0)), 1.1, 1.2), "missed");
        assert_eq!(of(None, 1.1, 1.2), "–");
    }
}
