//! The launches of one forward pass, each kind repeated on its own over the buffers that the pass gives it and timed by
//! slope: where a pass spends its time, on every backend, timestamps or not.

use crate::context::MeasureContext;
use crate::models::Loaded;
use crate::probe::{self, Blocks, Clock, Timer, Unit, blocks, typical};
use crate::{Device, Error};
use ridgeline_compute::{Executor, Recording};
use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::record::Check;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::stats;
use ridgeline_gpu::Policy;
use ridgeline_model::SessionOptions;
use ridgeline_roofline::{Cost, Machine, Measured, Prediction, Regime, check_floor};
use ridgeline_speculative::Rows;
use serde::{Deserialize, Serialize};

/// A pass and what its launches took.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What the model records.
    pub pass: Recording,
    /// Its distinct launches.
    pub row: Row,
    /// Which of them each step is.
    pub of: Vec<usize>,
    /// Wall time of every block of measurements, nanoseconds.
    pub block_ns: Vec<u64>,
}

/// One distinct launch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// Name of the kernel.
    pub kernel: String,
    /// Its variant.
    pub variant: String,
    /// The module of the model.
    pub module: String,
    /// How often the pass launches it.
    pub count: u64,
    /// Workgroups per dimension.
    pub grid: [u32; 3],
    /// What one launch costs.
    pub cost: Cost,
    /// Seconds of one launch.
    pub seconds: Measured,
    /// The seconds of each block.
    pub blocks: Vec<f64>,
}

/// The launches of a pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// In the order of their first appearance.
    pub launches: Vec<Launch>,
}

/// Times every distinct launch of a pass over `tokens` tokens after `depth` others.
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
    // One whole pass fills the buffers that the launches read.
    device.run(&pass)?;
    // What a layer's weights find in a cache matters where they are read once; longer passes would take minutes.
    let Kinds { mut launches, works, of } = Kinds::of(&pass, tokens == 1);
    let mut timer = Timer::new(&mut device)?;
    let units: Vec<Unit> = works.iter().map(|work| timer.unit(work)).collect::<Result<_, _>>()?;
    let measured = blocks(&mut timer, &units, Clock::SubmitToComplete, budget)?;
    set_times(&mut launches, &works, &measured)?;
    Ok(Profile { pass, row: Row { launches }, of, block_ns: measured.block_ns })
}

/// Repetitions of a whole pass of which the medians count.
const REPETITIONS: u32 = 9;

/// Nanoseconds of each step of a pass by the device's own clock, the median of several runs for each; nothing where it has
/// none, or where what it says cannot be true.
pub fn stamped(device: &mut Device, pass: &Recording) -> Result<Option<Vec<f64>>, Error> {
    let Some(before) = device.gpu().map(|gpu| gpu.policy()) else { return Ok(None) };
    let set = |device: &mut Device, profile| {
        if let Some(gpu) = device.gpu() {
            gpu.set_policy(Policy { profile, ..before });
        }
    };
    set(device, true);
    let runs: Result<Vec<_>, _> =
        (0..REPETITIONS).map(|_| device.run(pass).map(|outcome| outcome.timing.step_ns)).collect();
    set(device, before.profile);
    let runs: Vec<Vec<u64>> = runs?.into_iter().flatten().collect();
    let median = |step: usize| {
        let times: Vec<f64> = runs.iter().map(|times| times[step] as f64).collect();
        stats::median(&times)
    };
    Ok((0..pass.launches().len()).map(median).collect())
}

/// The launches of a pass, each kind by itself and all of them one after the other, ready to be timed in turn.
pub(crate) struct Sequence {
    /// All launches of each kind.
    kinds: Vec<Unit>,
    pass: Unit,
}

impl Sequence {
    /// Finds how often each has to be repeated to be timed.
    pub(crate) fn new(device: &mut Device, pass: &Recording) -> Result<Self, Error> {
        let mut timer = Timer::new(device)?;
        let works = Kinds::of(pass, true).works;
        let kinds = works.iter().map(|work| timer.unit(work)).collect::<Result<_, _>>()?;
        Ok(Self { kinds, pass: timer.unit(pass)? })
    }

    /// Seconds of the launches of the pass, each kind timed by itself, and seconds of the whole pass. Neither holds a
    /// submission. Each is timed once, as it comes: the best of several short repetitions is luckier than that of long ones.
    pub(crate) fn time(&self, device: &mut Device) -> Result<(f64, f64), Error> {
        let mut timer = Timer::new(device)?;
        let mut isolated = 0.0;
        for kind in &self.kinds {
            isolated += timer.slope(kind, 1, Clock::SubmitToComplete)?;
        }
        Ok((isolated, timer.slope(&self.pass, 1, Clock::SubmitToComplete)?))
    }
}

/// The distinct launches of a pass, not yet timed.
struct Kinds {
    launches: Vec<Launch>,
    /// What is timed for each.
    works: Vec<Recording>,
    /// Which of them each step is.
    of: Vec<usize>,
}

impl Kinds {
    /// Launches that differ only in what they read, such as those of other layers, are one kind. It is timed by its first
    /// launch or by `all` of them, one after the other: a cache that cannot hold in the pass what they read cannot here.
    fn of(pass: &Recording, all: bool) -> Self {
        let mut kinds = Self { launches: Vec::new(), works: Vec::new(), of: Vec::new() };
        let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
        for step in pass.launches() {
            let (kernel, params) = (pass.kernel(step), pass.params(step));
            let key = (kernel.label(), params.to_vec());
            let known = seen.iter().position(|s| *s == key);
            let i = known.unwrap_or(seen.len());
            if known.is_none() {
                kinds.launches.push(Launch {
                    kernel: kernel.name().to_owned(),
                    variant: kernel.label(),
                    module: step.region.module.to_owned(),
                    count: 0,
                    grid: step.grid,
                    cost: pass.launch_cost(step),
                    seconds: Measured::exact(0.0),
                    blocks: Vec::new(),
                });
                kinds.works.push(Recording::new());
                seen.push(key);
            }
            if known.is_none() || all {
                kinds.works[i].enter(step.region);
                kinds.works[i].run_erased(kernel, params, pass.slices(step));
            }
            kinds.launches[i].count += 1;
            kinds.of.push(i);
        }
        kinds
    }
}

/// Gives launches the seconds of their works.
fn set_times(launches: &mut [Launch], works: &[Recording], measured: &Blocks) -> Result<(), probe::Error> {
    for ((launch, work), seconds) in launches.iter_mut().zip(works).zip(&measured.seconds) {
        launch.blocks = seconds.iter().map(|s| s / work.launches().len() as f64).collect();
        launch.seconds = typical(&launch.blocks).ok_or(probe::Error::NoBlocks)?;
    }
    Ok(())
}

impl Launch {
    /// What one launch should take: it is isolated with its own bytes, and the slope has no submission in it.
    pub fn prediction(&self, machine: &Machine) -> Prediction {
        machine.predict(&self.cost, Regime::new(self.cost.bytes()).submissions(0))
    }

    /// Achieved rate of something there is `n` of.
    pub fn rate(&self, n: u64) -> Measured {
        let n = n as f64;
        let Measured { value, lo, hi } = self.seconds;
        Measured { value: n / value, lo: n / hi, hi: n / lo.max(f64::MIN_POSITIVE) }
    }

    /// Module, kernel and number of workgroups.
    pub fn label(&self) -> String {
        let [x, y, z] = self.grid;
        let workgroups = u64::from(x) * u64::from(y) * u64::from(z);
        format!("{} ({}, {workgroups} workgroups)", self.module, self.kernel)
    }
}

impl Row {
    /// Seconds of all launches of the pass, each at its own pace.
    pub fn total_s(&self) -> f64 {
        self.launches.iter().map(|l| l.count as f64 * l.seconds.value).sum()
    }

    /// Fraction of [`Self::total_s`] that the launches of this kind take.
    pub fn share(&self, launch: &Launch) -> f64 {
        launch.count as f64 * launch.seconds.value / self.total_s()
    }

    /// Whether no launch beats its floor, the fastest block counted.
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

    /// One line per launch. `caption` says what the pass is.
    pub fn table(&self, caption: String, machine: Option<&Machine>) -> Table {
        let columns = [
            ("launch", Align::Left),
            ("times", Align::Right),
            ("each", Align::Right),
            ("interval", Align::Right),
            ("of the pass", Align::Right),
            ("bandwidth", Align::Right),
            ("arithmetic", Align::Right),
            ("of its roof", Align::Right),
            ("bound", Align::Left),
        ];
        let mut table = Table::new(caption, columns);
        for launch in &self.launches {
            let prediction = machine.map(|m| launch.prediction(m));
            let seconds = launch.seconds;
            table.push([
                launch.label(),
                launch.count.to_string(),
                number::si(seconds.value, "s"),
                number::si_range(seconds.lo, seconds.hi, "s"),
                number::percent(self.share(launch)),
                number::si(launch.rate(launch.cost.bytes()).value, "B/s"),
                number::si(launch.rate(launch.cost.flops).value, "FLOP/s"),
                prediction.map_or(String::new(), |p| number::percent(p.roof_fraction(seconds.value))),
                prediction.map_or(String::new(), |p| p.bound.to_string()),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::{Launch, Row};
    use ridgeline_roofline::{Cost, Machine, Measured};

    fn launch(seconds: f64) -> Launch {
        Launch {
            kernel: "k".to_owned(),
            variant: "K { lanes: 64 }".to_owned(),
            module: "mlp".to_owned(),
            count: 3,
            grid: [4, 2, 1],
            cost: Cost { weights: 1000, flops: 10, launches: 1, ..Cost::ZERO },
            seconds: Measured::exact(seconds),
            blocks: vec![seconds, 1.1 * seconds],
        }
    }

    #[test]
    fn a_launch_that_beats_its_floor_fails_the_row() {
        // A thousand bytes at a kilobyte per second are a second, with 2 % to spare.
        let machine = Machine::flat("m", 1e3, 1e6).expect("positive");
        let slow = Row { launches: vec![launch(0.99)] }.check(&machine);
        assert!(slow.ok, "{}", slow.detail);
        let fast = Row { launches: vec![launch(2.0), launch(0.9)] }.check(&machine);
        assert!(!fast.ok && fast.detail.contains("K { lanes: 64 }"), "{}", fast.detail);
    }

    #[test]
    fn shares_count_every_launch() {
        let row = Row { launches: vec![launch(1.0), launch(3.0)] };
        assert!((row.share(&row.launches[1]) - 0.75).abs() < 1e-12);
        assert_eq!(row.launches[0].label(), "mlp (k, 8 workgroups)");
        assert!((row.launches[0].rate(1000).value - 1000.0).abs() < 1e-9);
    }
}
