//! The measured times of a test of forward passes, and their comparison with the roofline.

use crate::submission::Clock;
use ridgeline_experiment::stats;
use ridgeline_roofline::{BeatsFloor, Cost, Machine, Measured, Prediction, Regime, Waterfall, check_floor};
use serde::{Deserialize, Serialize};

/// Measured times of a test, with its cost and the circumstances of its prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassTiming {
    /// Time of every repetition until its results were in host memory, in order, in nanoseconds.
    pub samples_ns: Vec<u64>,
    /// The same without the waits for results: what a host that never waits takes for the time.
    ///
    /// It includes waits between the submissions of a forward pass. Empty in journals of before.
    #[serde(default)]
    pub encode_ns: Vec<u64>,
    /// Device time of the repetitions in nanoseconds, by timestamps around each submission.
    ///
    /// Empty unless the session takes timestamps, and where most of them are missing or implausible. Single repetitions
    /// with implausible timestamps are left out.
    #[serde(default)]
    pub device_ns: Vec<u64>,
    /// Cost of one repetition.
    pub cost: Cost,
    /// The circumstances of the prediction: working set, activations, submissions.
    pub regime: Regime,
    /// Recordings run over all repetitions and the warm-up of the budget.
    pub recordings: u32,
    /// Host time per recording in nanoseconds: uploads, encoding and submission.
    pub host_ns_per_recording: f64,
    /// Parameters of the model.
    pub params: u64,
    /// Bytes of its weights in their quantization types.
    pub weight_bytes: u64,
    /// Times of the kernels of a decode step; `None` for prompts.
    #[serde(default)]
    pub kernels: Option<KernelTimes>,
}

/// Seconds of the kernels of one decode step, without submissions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelTimes {
    /// Sum over the launches, each kind timed isolated.
    pub isolated_s: f64,
    /// Launches back to back, in the order of the forward pass.
    pub back_to_back_s: f64,
}

impl PassTiming {
    /// The times of the repetitions by one of the clocks, in nanoseconds.
    #[must_use]
    pub fn by(&self, clock: Clock) -> &[u64] {
        match clock {
            Clock::Encode => &self.encode_ns,
            Clock::Complete => &self.samples_ns,
            Clock::Device => &self.device_ns,
        }
    }

    /// The median repetition in seconds.
    #[must_use]
    pub fn median_s(&self) -> f64 {
        let seconds = stats::seconds(&self.samples_ns);
        stats::median(&seconds).unwrap_or(f64::NAN)
    }

    /// The timing of a model that is on the line through two with fewer layers, this one and `to`: `by` times their
    /// difference beyond `to`. Repetitions are taken in pairs, in order.
    #[must_use]
    pub fn extrapolated(&self, to: &Self, by: f64) -> Self {
        let line = |a: f64, b: f64| b + by * (b - a);
        let count = |a: u64, b: u64| whole(line(a as f64, b as f64));
        let times = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(&a, &b)| count(a, b)).collect();
        let mut regime = to.regime;
        regime.working_set = count(self.regime.working_set, to.regime.working_set);
        Self {
            samples_ns: times(&self.samples_ns, &to.samples_ns),
            encode_ns: times(&self.encode_ns, &to.encode_ns),
            device_ns: times(&self.device_ns, &to.device_ns),
            cost: self.cost.extrapolated(&to.cost, by),
            regime,
            recordings: to.recordings,
            host_ns_per_recording: line(self.host_ns_per_recording, to.host_ns_per_recording).max(0.0),
            params: count(self.params, to.params),
            weight_bytes: count(self.weight_bytes, to.weight_bytes),
            kernels: self.kernels.zip(to.kernels).map(|(a, b)| KernelTimes {
                isolated_s: line(a.isolated_s, b.isolated_s).max(f64::MIN_POSITIVE),
                back_to_back_s: line(a.back_to_back_s, b.back_to_back_s).max(f64::MIN_POSITIVE),
            }),
        }
    }

    /// The prediction for one repetition.
    #[must_use]
    pub fn prediction(&self, machine: &Machine) -> Prediction {
        machine.predict(&self.cost, self.regime)
    }

    /// Where the time of the median repetition went, per decode step of `steps` equal ones.
    #[must_use]
    pub fn waterfall(&self, machine: &Machine, steps: u64) -> Waterfall {
        let step = Waterfall::of(&self.cost, machine, self.median_s(), self.regime).shared_by(steps);
        self.kernels.map_or(step, |kernels| step.with_kernels(kernels.isolated_s, kernels.back_to_back_s))
    }

    /// Compares the fastest repetition with the floor.
    ///
    /// # Errors
    /// [`BeatsFloor`] where it is faster: then the cost, the ceilings or the clock is wrong, and the row invalid.
    pub fn check(&self, machine: Option<&Machine>) -> Result<(), BeatsFloor> {
        let fastest = self.samples_ns.iter().min().map_or(f64::INFINITY, |&ns| ns as f64 / 1e9);
        machine.map_or(Ok(()), |machine| check_floor(fastest, self.prediction(machine).floor_s))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Times of the kernels of a decode step as fractions of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelShares {
    /// Sum over the launches, each kind timed isolated.
    pub isolated: Measured,
    /// Launches back to back, in the order of the forward pass.
    pub back_to_back: Measured,
}

impl KernelShares {
    /// Seconds of the kernels in a step of `step_s` seconds.
    #[must_use]
    pub const fn of(&self, step_s: f64) -> KernelTimes {
        KernelTimes {
            isolated_s: self.isolated.value * step_s,
            back_to_back_s: self.back_to_back.value * step_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, PassTiming};
    use ridgeline_roofline::{Cost, Regime};

    /// A timing as a journal of before has it.
    fn timing() -> PassTiming {
        let row = r#"{ "samples_ns": [5], "cost": COST, "regime": REGIME, "recordings": 1,
            "host_ns_per_recording": 1.0, "params": 1, "weight_bytes": 2 }"#;
        let cost = serde_json::to_string(&Cost::ZERO).expect("JSON");
        let regime = serde_json::to_string(&Regime::new(1)).expect("JSON");
        let row = row.replace("COST", &cost).replace("REGIME", &regime);
        serde_json::from_str(&row).expect("a row")
    }

    #[test]
    fn layers_add_equal_times_and_counts() {
        let layers = |n: u64| PassTiming {
            samples_ns: vec![100 + 10 * n, 200 + 20 * n],
            encode_ns: vec![n],
            cost: Cost { weights: 7 + 3 * n, launches: 2 + 9 * n, ..Cost::ZERO },
            regime: Regime::new(1_000 * n).scratch(7),
            params: 40 + n,
            weight_bytes: 80 + 2 * n,
            ..timing()
        };
        let whole = layers(2).extrapolated(&layers(4), 14.0);
        assert_eq!(whole, layers(32));
    }

    #[test]
    fn rows_of_before_have_one_clock() {
        let timing = timing();
        assert_eq!(Clock::ALL.iter().map(|&clock| timing.by(clock).len()).collect::<Vec<_>>(), [0, 1, 0]);
    }
}
