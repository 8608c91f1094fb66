//! Profile of one forward pass: each distinct launch, isolated and timed by slope over the buffers of the pass.
//!
//! Timestamps are not needed, so a profile works on every backend.

use crate::context::MeasureContext;
use crate::models::Loaded;
use crate::probe::{self, Blocks, Clock, Timer, Unit, blocks, typical};
use crate::{Device, Error};
use ridgeline_compute::{Executor, Recording, Region, RunOptions};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::record::Check;
use ridgeline_experiment::stats;
use ridgeline_kernels::SMALL_BATCH;
use ridgeline_model::SessionOptions;
use ridgeline_roofline::{Cost, Machine, Measured, Prediction, Regime, check_floor};
use ridgeline_speculative::Rows;
use serde::{Deserialize, Serialize};

/// A forward pass and the times of its launches.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The recording of the pass.
    pub pass: Recording,
    /// Its distinct launches.
    pub row: Profiled,
    /// For each launch of the pass its index in `row.launches`.
    pub of: Vec<usize>,
    /// Wall time of every block of measurements in nanoseconds.
    pub block_ns: Vec<u64>,
}

/// One distinct launch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimedLaunch {
    /// Name of the kernel, such as `mat_vec`.
    pub kernel: String,
    /// Its variant, with all parameters.
    pub variant: String,
    /// The modules of the model that launch it, such as `gate_up`. Several are joined by commas.
    pub module: String,
    /// Launches per pass.
    pub count: u64,
    /// Launches in each layer, from the first layer on. Empty in journals of before.
    #[serde(default)]
    pub by_layer: Vec<u64>,
    /// Workgroups per dimension.
    pub grid: [u32; 3],
    /// Cost of one launch: the mean over those that are timed, where it depends on the experts that tokens choose.
    pub cost: Cost,
    /// Seconds of one launch: the median over blocks and its 95 % interval.
    pub seconds: Measured,
    /// Seconds of one launch in each block.
    pub blocks: Vec<f64>,
}

/// The distinct launches of a forward pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profiled {
    /// In order of first appearance.
    pub launches: Vec<TimedLaunch>,
}

/// Times every distinct launch of a forward pass over `tokens` tokens at `depth`.
///
/// # Errors
/// [`Error::Model`] where the context does not fit the device, [`Error::Device`] or [`Error::Probe`] where it fails.
pub fn profile(
    cx: &MeasureContext,
    loaded: &Loaded,
    (depth, tokens): (usize, usize),
    options: SessionOptions,
    budget: &Budget,
) -> Result<Profile, Error> {
    let options = SessionOptions { context: depth + tokens, batch: tokens, ..options };
    let mut session = cx.session(loaded, options)?;
    session.set_kv_len(depth)?;
    // Distinct tokens, so that the embedding rows counted are the rows read.
    let ids: Vec<u32> = (0..).take(tokens).collect();
    let pass = session.record(&ids, Rows::Last)?.clone();
    let mut device = cx.device.borrow_mut();
    // One run of the pass fills the buffers that its launches read, and tells which experts the tokens choose.
    let mut first = pass.clone();
    first.read_back_deciding();
    let costs = first.launch_costs_after(&device.run(&first)?);
    // Small batches are bound by weight reads, so all layers are timed to keep the caches cold. Prompts would take minutes.
    let Kinds { mut launches, works, of } = Kinds::of(&pass, &costs, tokens <= SMALL_BATCH as usize);
    let mut timer = Timer::new(&mut device)?;
    let units: Vec<Unit> = works.iter().map(|work| timer.unit(work)).collect::<Result<_, _>>()?;
    let measured = blocks(&mut timer, &units, Clock::SubmitToComplete, budget)?;
    set_times(&mut launches, &works, &measured)?;
    Ok(Profile { pass, row: Profiled { launches }, of, block_ns: measured.block_ns })
}

/// Runs of the pass, of which the medians count.
const REPETITIONS: u32 = 9;

/// Nanoseconds of each launch of a pass by device timestamps: the median of several runs.
///
/// `None` where the device has no timestamps or they are implausible.
///
/// # Errors
/// [`Error::Device`] where the device fails.
pub fn stamped(device: &mut Device, pass: &Recording) -> Result<Option<Vec<f64>>, Error> {
    if device.gpu().is_none() {
        return Ok(None);
    }
    let options = RunOptions::stamp_launches();
    let runs: Result<Vec<_>, _> = (0..REPETITIONS)
        .map(|_| device.run_with(pass, options).map(|outcome| outcome.timing.device_ns))
        .collect();
    let runs: Vec<Vec<u64>> = runs?.into_iter().flatten().collect();
    let median = |launch: usize| {
        let times: Vec<f64> = runs.iter().map(|times| times[launch] as f64).collect();
        stats::median(&times)
    };
    Ok((0..pass.launches().len()).map(median).collect())
}

/// The launches of a pass, ready to be timed isolated (kind by kind) and back to back (the whole pass).
pub(crate) struct Sequence {
    /// All launches of each kind.
    kinds: Vec<Unit>,
    pass: Unit,
}

impl Sequence {
    /// Calibrates the repetitions of each kind and of the pass.
    pub(crate) fn new(device: &mut Device, pass: &Recording) -> Result<Self, Error> {
        let mut timer = Timer::new(device)?;
        let costs: Vec<Cost> = pass.launches().iter().map(|launch| pass.launch_cost(launch)).collect();
        let works = Kinds::of(pass, &costs, true).works;
        let kinds = works.iter().map(|work| timer.unit(work)).collect::<Result<_, _>>()?;
        Ok(Self { kinds, pass: timer.unit(pass)? })
    }

    /// Seconds of the pass as `(isolated, back to back)`, both without submissions.
    ///
    /// Each is timed with one pair of runs. The minimum of several would favor short units over long ones.
    pub(crate) fn time(&self, device: &mut Device) -> Result<(f64, f64), Error> {
        let mut timer = Timer::new(device)?;
        let mut isolated = 0.0;
        for kind in &self.kinds {
            isolated += timer.slope(kind, 1, Clock::SubmitToComplete)?;
        }
        Ok((isolated, timer.slope(&self.pass, 1, Clock::SubmitToComplete)?))
    }
}

/// The distinct launches of a pass before they are timed.
struct Kinds {
    launches: Vec<TimedLaunch>,
    /// The recording to time for each kind.
    works: Vec<Recording>,
    /// For each launch of the pass its index in `launches`.
    of: Vec<usize>,
}

impl Kinds {
    /// Groups launches of equal kernel and parameters, such as the same launch in every layer.
    ///
    /// A kind is timed by its first launch, or by `all` of its launches back to back. With all of them, a cache too
    /// small for the weights in the pass is also too small here.
    fn of(pass: &Recording, costs: &[Cost], all: bool) -> Self {
        let mut kinds = Self { launches: Vec::new(), works: Vec::new(), of: Vec::new() };
        let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
        for (launch, cost) in pass.launches().iter().zip(costs) {
            let (kernel, params) = (pass.kernel(launch), pass.params(launch));
            let key = (kernel.label(), params.to_vec());
            let known = seen.iter().position(|s| *s == key);
            let i = known.unwrap_or(seen.len());
            if known.is_none() {
                kinds.launches.push(TimedLaunch {
                    kernel: kernel.name().to_owned(),
                    variant: kernel.label(),
                    module: launch.region.module.to_owned(),
                    count: 0,
                    by_layer: Vec::new(),
                    grid: launch.grid,
                    cost: Cost::ZERO,
                    seconds: Measured::exact(0.0),
                    blocks: Vec::new(),
                });
                kinds.works.push(Recording::new());
                seen.push(key);
            }
            if known.is_none() || all {
                kinds.works[i].enter(launch.region);
                kinds.works[i].run_erased(kernel, params, pass.slices(launch));
                kinds.launches[i].cost += *cost;
            }
            kinds.launches[i].add(launch.region);
            kinds.of.push(i);
        }
        for (launch, work) in kinds.launches.iter_mut().zip(&kinds.works) {
            launch.cost = launch.cost.shared_by(work.launches().len() as u64);
        }
        kinds
    }
}

/// Sets the seconds of one launch from the measured seconds of its recording.
fn set_times(
    launches: &mut [TimedLaunch],
    works: &[Recording],
    measured: &Blocks,
) -> Result<(), probe::Error> {
    for ((launch, work), seconds) in launches.iter_mut().zip(works).zip(&measured.seconds) {
        launch.blocks = seconds.iter().map(|s| s / work.launches().len() as f64).collect();
        launch.seconds = typical(&launch.blocks).ok_or(probe::Error::NoBlocks)?;
    }
    Ok(())
}

impl TimedLaunch {
    /// Counts one more launch of this kind. Several modules may launch it: all norms of a model are one kind.
    fn add(&mut self, Region { layer, module }: Region) {
        self.count += 1;
        if let Some(layer) = layer {
            let layer = layer as usize;
            self.by_layer.resize(self.by_layer.len().max(layer + 1), 0);
            self.by_layer[layer] += 1;
        }
        if !self.module.split(", ").any(|known| known == module) {
            self.module = format!("{}, {module}", self.module);
        }
    }

    /// Predicted time of one launch. Its working set is its own bytes, and a slope contains no submission.
    pub fn prediction(&self, machine: &Machine) -> Prediction {
        machine.predict(&self.cost, Regime::new(self.cost.bytes()).submissions(0))
    }

    /// Achieved rate, where one launch moves or computes `n` units: bytes/s or FLOP/s.
    pub fn rate(&self, n: u64) -> Measured {
        let n = n as f64;
        let Measured { value, lo, hi } = self.seconds;
        Measured { value: n / value, lo: n / hi, hi: n / lo.max(f64::MIN_POSITIVE) }
    }

    /// Its role in the model, such as `gate_up`. All norms of a model that are one kind of launch are `norm`.
    pub fn role(&self) -> String {
        let are_norms = self.module.split(", ").all(|module| module.ends_with("norm"));
        if are_norms { "norm".to_owned() } else { self.module.clone() }
    }

    /// Label of a report: role and kernel.
    pub fn label(&self) -> String {
        format!("{} ({})", self.role(), self.kernel)
    }
}

impl Profiled {
    /// Seconds of all launches of the pass: the sum of their isolated times.
    pub fn total_s(&self) -> f64 {
        self.launches.iter().map(|l| l.count as f64 * l.seconds.value).sum()
    }

    /// Seconds of all launches of the pass in each block.
    #[must_use]
    pub fn block_totals(&self) -> Vec<f64> {
        let blocks = self.launches.iter().map(|l| l.blocks.len()).min().unwrap_or(0);
        (0..blocks).map(|i| self.launches.iter().map(|l| l.count as f64 * l.blocks[i]).sum()).collect()
    }

    /// Fraction of [`Self::total_s`] that belongs to the launches of this kind.
    pub fn share(&self, launch: &TimedLaunch) -> f64 {
        launch.count as f64 * launch.seconds.value / self.total_s()
    }

    /// Checks that no launch is faster than its floor, by its fastest block.
    pub fn check(&self, machine: &Machine) -> Check {
        let mut beaten = Vec::new();
        for launch in &self.launches {
            let fastest = launch.blocks.iter().copied().fold(f64::INFINITY, f64::min);
            if let Err(error) = check_floor(fastest, launch.prediction(machine).floor_s) {
                beaten.push(format!("{}: {error}", launch.variant));
            }
        }
        let detail = if beaten.is_empty() {
            format!("{} launches at or above their floors", self.launches.len())
        } else {
            beaten.join("; ")
        };
        Check { kind: "floor".to_owned(), ok: beaten.is_empty(), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::{Profiled, TimedLaunch};
    use ridgeline_roofline::{Cost, Machine, Measured};

    fn launch(seconds: f64) -> TimedLaunch {
        TimedLaunch {
            kernel: "k".to_owned(),
            variant: "K { workgroup_size: 64 }".to_owned(),
            module: "mlp".to_owned(),
            count: 3,
            by_layer: vec![1, 2],
            grid: [4, 2, 1],
            cost: Cost { weights: 1000, flops: 10, launches: 1, ..Cost::ZERO },
            seconds: Measured::exact(seconds),
            blocks: vec![seconds, 1.1 * seconds],
        }
    }

    #[test]
    fn a_launch_faster_than_its_floor_fails_the_row() {
        // A thousand bytes at a kilobyte per second are a second, with a third to spare.
        let machine = Machine::flat("m", 1e3, 1e6).expect("positive");
        let slow = Profiled { launches: vec![launch(0.99)] }.check(&machine);
        assert!(slow.ok, "{}", slow.detail);
        let fast = Profiled { launches: vec![launch(2.0), launch(0.6)] }.check(&machine);
        assert!(!fast.ok && fast.detail.contains("K { workgroup_size: 64 }"), "{}", fast.detail);
    }

    #[test]
    fn shares_count_every_launch() {
        let row = Profiled { launches: vec![launch(1.0), launch(3.0)] };
        assert!((row.share(&row.launches[1]) - 0.75).abs() < 1e-12);
        assert_eq!(row.launches[0].label(), "mlp (k)");
        assert!((row.launches[0].rate(1000).value - 1000.0).abs() < 1e-9);
    }
}
