//! The measured ceilings of a device, through the same interface that inference uses: recordings, run and timed.
//!
//! Every quantity is a slope: the time of twice the work minus the time of the work. It is taken in blocks that
//! are spread over the budget; a block keeps the least disturbed of its repetitions, and the interval comes from the
//! variation between blocks, so that it covers what changes from run to run.

mod agreement;
mod attention;
mod blocks;
mod merge;
mod overheads;
mod product;
mod slope;
mod stream;

pub use agreement::{
    Agreement, MAX_BLOCK_SPREAD, NOISE_FLOOR, agreement, block_spread, compared, quantities,
};
pub use blocks::{Blocks, blocks, ceiling, typical};
pub use overheads::{OverheadSeries, overheads};
pub use product::{MatVecRate, MatVecs, Peaks, Rate, mat_vecs, peaks};
pub use product::{STUDY_BITS_PER_WEIGHT, product_s};
pub use slope::{Clock, Timer, Unit};
pub use stream::{Stream, StreamCurve, curve};

use crate::Device;
use ridgeline_experiment::matrix::Budget;
use ridgeline_roofline::{Bandwidth, Curve, Machine, Overheads};
use serde::{Deserialize, Serialize};

/// What can go wrong while probing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The CPU twins read no clock, and are no measurement of anything.
    #[error("the CPU twins have no clock; probe a device that wgpu drives")]
    NoClock,
    /// The device refused or was lost.
    #[error(transparent)]
    Run(#[from] ridgeline_compute::Error),
    /// A measured ceiling is no positive number.
    #[error(transparent)]
    Ceiling(#[from] ridgeline_roofline::Error),
    /// The budget ended before a single block did.
    #[error("no block of measurements was made; the budget needs at least two repetitions")]
    NoBlocks,
    /// Two sessions that did not measure the same.
    #[error("two sessions of different measurements cannot be joined")]
    Mismatch,
    /// Nothing of what was to be measured fits the device.
    #[error("{what} does not fit the device: {bytes} bytes against a limit of {limit}")]
    TooSmall {
        /// What was to be measured.
        what: &'static str,
        /// Bytes it needs.
        bytes: u64,
        /// Bytes there are.
        limit: u64,
    },
}

/// A group of ceilings that is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Bandwidth of reading against working-set size.
    Read,
    /// Bandwidth of copying against working-set size.
    Copy,
    /// Bandwidth of STREAM's triad against working-set size.
    Triad,
    /// Peaks of the matrix products.
    Flops,
    /// Launch, submission, synchronisation, read-back.
    Overheads,
    /// Matrix times vector at 8192 × 8192, per number format.
    Matvec,
}

impl Quantity {
    /// All of them, in the order in which a probe runs them.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Copy, Self::Triad, Self::Flops, Self::Overheads, Self::Matvec];
}

/// One measured group of ceilings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// A bandwidth curve.
    Read(StreamCurve),
    /// A bandwidth curve.
    Copy(StreamCurve),
    /// A bandwidth curve.
    Triad(StreamCurve),
    /// Peaks of the matrix products.
    Flops(Peaks),
    /// Fixed costs.
    Overheads(OverheadSeries),
    /// Matrix times vector.
    Matvec(MatVecs),
}

/// A ceiling with the wall time of each of its blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// What was measured.
    pub ceiling: Ceiling,
    /// Wall time of every block in order, nanoseconds.
    pub block_ns: Vec<u64>,
}

impl Probed {
    /// This and a later session of the same quantity.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where the other is not of the same quantity.
    pub fn joined(mut self, later: Self) -> Result<Self, Error> {
        self.ceiling = self.ceiling.joined(&later.ceiling).ok_or(Error::Mismatch)?;
        self.block_ns.extend(later.block_ns);
        Ok(self)
    }
}

/// Half of a budget, of at least two repetitions.
fn half(budget: &Budget) -> Budget {
    Budget {
        warmup: budget.warmup,
        min_reps: budget.min_reps.div_ceil(2).max(2),
        max_reps: budget.max_reps.div_ceil(2).max(2),
        budget_s: budget.budget_s / 2.0,
    }
}

/// Measures one group of ceilings in two sessions that share a budget, whose repetitions are blocks.
///
/// # Errors
/// As [`session`].
pub fn measure(device: &mut Device, quantity: Quantity, budget: &Budget) -> Result<Probed, Error> {
    let first = session(device, quantity, budget)?;
    first.joined(session(device, quantity, budget)?)
}

/// Measures one group of ceilings in half of a budget: the other half is for another session, which may be later and
/// sees what changes meanwhile. See [`Probed::joined`].
///
/// # Errors
/// A device without a clock, one that is lost, or a budget of no block.
pub fn session(device: &mut Device, quantity: Quantity, budget: &Budget) -> Result<Probed, Error> {
    let budget = &half(budget);
    let mut timer = Timer::new(device)?;
    let timer = &mut timer;
    let probed = |(ceiling, block_ns)| Probed { ceiling, block_ns };
    Ok(probed(match quantity {
        Quantity::Read => curve(timer, Stream::Read, budget).map(|(c, ns)| (Ceiling::Read(c), ns))?,
        Quantity::Copy => curve(timer, Stream::Copy, budget).map(|(c, ns)| (Ceiling::Copy(c), ns))?,
        Quantity::Triad => curve(timer, Stream::Triad, budget).map(|(c, ns)| (Ceiling::Triad(c), ns))?,
        Quantity::Flops => peaks(timer, budget).map(|(p, ns)| (Ceiling::Flops(p), ns))?,
        Quantity::Overheads => overheads(timer, budget).map(|(o, ns)| (Ceiling::Overheads(o), ns))?,
        Quantity::Matvec => mat_vecs(timer, budget).map(|(m, ns)| (Ceiling::Matvec(m), ns))?,
    }))
}

/// The machine that ceilings make together; `None` where one of the five that it needs is missing. Of two ceilings of a
/// kind the later counts.
#[must_use]
pub fn machine(name: &str, ceilings: &[Ceiling]) -> Option<Machine> {
    let (mut read, mut copy, mut triad) = (None::<Curve>, None::<Curve>, None::<Curve>);
    let (mut peaks, mut overheads) = (None::<&Peaks>, None::<Overheads>);
    for ceiling in ceilings {
        match ceiling {
            Ceiling::Read(c) => read = Some(c.curve.clone()),
            Ceiling::Copy(c) => copy = Some(c.curve.clone()),
            Ceiling::Triad(c) => triad = Some(c.curve.clone()),
            Ceiling::Flops(p) => peaks = Some(p),
            Ceiling::Overheads(o) => overheads = Some(o.overheads),
            Ceiling::Matvec(_) => {}
        }
    }
    let peaks = peaks?;
    Some(Machine {
        name: name.to_owned(),
        bandwidth: Bandwidth { read: read?, copy: copy?, triad: triad? },
        flops_f32: peaks.f32.rate,
        flops_f16: peaks.f16.as_ref().map(|p| p.rate),
        overheads: overheads?,
    })
}

/// Two budgets for the command line: enough for a stable answer, or a few seconds.
#[must_use]
pub const fn budget(quick: bool) -> Budget {
    if quick {
        Budget { warmup: 1, min_reps: 6, max_reps: 8, budget_s: 3.0 }
    } else {
        Budget { warmup: 1, min_reps: 7, max_reps: 50, budget_s: 20.0 }
    }
}

/// Whether half a budget asks for few points rather than all.
pub(crate) fn is_quick(budget: &Budget) -> bool {
    budget.budget_s < 5.0
}
