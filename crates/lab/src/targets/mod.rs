//! Performance targets of this program's engine: ratios to the device's own ceilings, or to another engine on it.
//!
//! Both sides of a ratio are measured in the same run. Ranges and outcomes are those of
//! [`ridgeline_experiment::verdict`].

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
use ridgeline_experiment::verdict::{Comparison, Outcome, Range, Unit};
use ridgeline_measure::pass::Test;
use ridgeline_measure::{Error, models};
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};

/// One target and its measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TargetResult {
    /// Name of the quantity.
    pub what: String,
    /// The required range; `None` where this kind of device has no target.
    pub target: Option<Range>,
    /// The measured value with its 95 % interval.
    pub here: Measured,
    /// Details: the figures of which the value is made.
    pub detail: String,
}

impl TargetResult {
    /// Whether the whole interval lies inside the range; `None` where there is no range.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let (what, value) = (self.what.clone(), self.here);
        let comparison = |range| Comparison { what, value, n: None, range, unit: Unit::Plain };
        self.target.map(|range| comparison(range).outcome())
    }
}

/// Repetitions of each side of a ratio.
const REPETITIONS: u32 = 10;

const BUDGET: Budget =
    Budget { warmup: 0, min_reps: REPETITIONS, max_reps: REPETITIONS, budget_s: f64::INFINITY };

/// One repetition, for interleaved A/B runs.
const ONCE: Budget = Budget { warmup: 0, min_reps: 1, max_reps: 1, budget_s: 0.0 };

const PROMPT: Test = Test { prompt: 64, generate: 0 };
const GENERATION: Test = Test { prompt: 0, generate: 16 };

/// The models to measure: the file `matrix/targets.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Models for verification, ceilings and reproducibility on a software adapter.
    pub models: Vec<String>,
    /// The same on a GPU, which small models do not saturate.
    pub gpu_models: Vec<String>,
    /// Model for decoding at depth.
    pub deep: String,
    /// Model for the loading time.
    pub load: String,
    /// Model for the host time of a decode step.
    pub host: String,
    /// Models with published llama.cpp figures.
    pub peer: Vec<PeerModel>,
}

impl Plan {
    /// The plan in `matrix/targets.toml`, compiled in.
    pub(crate) fn shipped() -> Self {
        toml::from_str(include_str!("../../../../matrix/targets.toml"))
            .expect("matrix/targets.toml is valid; a test parses it")
    }
}

/// Writes a model as a temporary GGUF file, deleted on drop.
fn file_of(model: &str) -> Result<tempfile::NamedTempFile, Error> {
    let folder = models::cache();
    let made = tempfile::Builder::new().suffix(".gguf").tempfile_in(&folder);
    let file = made.map_err(|source| models::Error::Io { path: folder, source })?;
    let checkpoint = models::checkpoint(model, None)?;
    let written = ridgeline_weights::write_gguf(&checkpoint, file.path(), |it| it.format);
    written.map_err(models::Error::from)?;
    // Otherwise the page cache's write-back would run during the measurement.
    let synced = file.as_file().sync_all();
    synced.map_err(|source| models::Error::Io { path: file.path().to_owned(), source })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{Measured, Outcome, Plan, Range, TargetResult};

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
            TargetResult { what: String::new(), target, here, detail: String::new() }.outcome()
        };
        assert_eq!(of(Some(Range::AtLeast(1.0)), 1.0, 2.0), Some(Outcome::Holds));
        assert_eq!(of(Some(Range::AtLeast(1.0)), 0.9, 2.0), Some(Outcome::Undecided));
        assert_eq!(of(Some(Range::AtLeast(1.0)), 0.8, 0.9), Some(Outcome::DoesNotHold));
        assert_eq!(of(Some(Range::AtMost(1.0)), 0.8, 0.9), Some(Outcome::Holds));
        assert_eq!(of(Some(Range::AtMost(1.0)), 1.1, 1.2), Some(Outcome::DoesNotHold));
        assert_eq!(of(None, 1.1, 1.2), None);
    }
}
