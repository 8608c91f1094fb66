//! The measured ceilings of a device, through the interface that inference uses: recordings, run and timed.
//!
//! - Bandwidth in bytes/s as a function of working-set size ([`curve`]).
//! - Peak arithmetic in FLOP/s ([`peaks`]), and bandwidth of mat-vecs ([`mat_vecs`]).
//! - Fixed costs in seconds ([`overheads`]).
//!
//! Every quantity is a slope: the time of 2N units of work minus the time of N ([`Timer::slope`]). Slopes are taken in
//! blocks spread over the budget ([`blocks`]). A block keeps its fastest repetitions. The interval comes from the
//! variation between blocks, so it covers changes from run to run.

mod agreement;
mod attention;
mod blocks;
mod mat_vec;
mod matmul;
mod merge;
mod overheads;
mod product;
mod slope;
mod stream;

pub use agreement::{
    Agreement, MAX_BLOCK_SPREAD, NOISE_FLOOR, agreement, block_spread, compared, quantities,
};
pub use blocks::{Blocks, blocks, ceiling, typical};
pub use mat_vec::{MatVecRate, MatVecs, STUDY_BITS_PER_WEIGHT, mat_vec_s, mat_vecs};
pub use matmul::{Peaks, Rate, peaks};
pub use overheads::{OverheadSeries, overheads};
pub use product::{Product, ProductPath, ProductTime, product};
pub use slope::{Clock, Timer, Unit};
pub use stream::{Stream, StreamCurve, curve};

use crate::Device;
use ridgeline_experiment::matrix::Budget;
use ridgeline_roofline::{Bandwidth, Curve, Machine, Overheads};
use serde::{Deserialize, Serialize};

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The CPU executor reads no clock.
    #[error("the CPU executor has no clock; choose a device that wgpu drives (--device)")]
    NoClock,
    /// The device refused or was lost.
    #[error(transparent)]
    Run(#[from] ridgeline_compute::Error),
    /// A measured ceiling is not a positive number.
    #[error(transparent)]
    Ceiling(#[from] ridgeline_roofline::Error),
    /// The budget ended before two blocks did.
    #[error("fewer than two blocks were measured; give a budget of at least two repetitions")]
    NoBlocks,
    /// Two sessions measured different quantities.
    #[error("two sessions of different quantities cannot be joined; join sessions of one quantity")]
    Mismatch,
    /// The smallest size to measure does not fit the device.
    #[error("the {what} of {bytes} bytes exceeds the device's limit of {limit} bytes; choose another device")]
    TooSmall {
        /// The buffer that does not fit.
        what: &'static str,
        /// Bytes it needs.
        bytes: u64,
        /// The device's limit in bytes.
        limit: u64,
    },
}

/// A group of ceilings that is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Read bandwidth by working-set size.
    Read,
    /// Copy bandwidth by working-set size.
    Copy,
    /// Bandwidth of STREAM triad by working-set size.
    Triad,
    /// Peak arithmetic of matmuls and attention.
    Flops,
    /// Launch, submission, synchronisation, read-back.
    Overheads,
    /// Bandwidth of a mat-vec at 8192 × 8192, per quantization type.
    Matvec,
}

impl Quantity {
    /// All quantities in the order of a probe.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Copy, Self::Triad, Self::Flops, Self::Overheads, Self::Matvec];
}

/// One measured group of ceilings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// Read bandwidth.
    Read(StreamCurve),
    /// Copy bandwidth.
    Copy(StreamCurve),
    /// Triad bandwidth.
    Triad(StreamCurve),
    /// Peak arithmetic of matmuls and attention.
    Flops(Peaks),
    /// Fixed costs.
    Overheads(OverheadSeries),
    /// Bandwidth of mat-vecs.
    Matvec(MatVecs),
}

/// A ceiling with the wall time of each of its blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// The ceilings.
    pub ceiling: Ceiling,
    /// Wall time of every block in order, nanoseconds.
    pub block_ns: Vec<u64>,
}

impl Probed {
    /// Merges this session with a later one of the same quantity.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where the other measured another quantity.
    pub fn joined(mut self, later: Self) -> Result<Self, Error> {
        self.ceiling = self.ceiling.joined(&later.ceiling).ok_or(Error::Mismatch)?;
        self.block_ns.extend(later.block_ns);
        Ok(self)
    }
}

/// Half of a budget, with at least two repetitions.
fn half(budget: &Budget) -> Budget {
    Budget {
        warmup: budget.warmup,
        min_reps: budget.min_reps.div_ceil(2).max(2),
        max_reps: budget.max_reps.div_ceil(2).max(2),
        budget_s: budget.budget_s / 2.0,
    }
}

/// Measures one group of ceilings in two sessions that share a budget. A repetition of the budget is one block.
///
/// # Errors
/// As [`session`].
pub fn measure(device: &mut Device, quantity: Quantity, budget: &Budget) -> Result<Probed, Error> {
    let first = session(device, quantity, budget)?;
    first.joined(session(device, quantity, budget)?)
}

/// Measures one group of ceilings in half of a budget.
///
/// The other half is for a second session, merged by [`Probed::joined`]. A later session covers slow changes of the
/// machine.
///
/// # Errors
/// [`Error::NoClock`] on the CPU executor, [`Error::Run`] where the device fails, [`Error::TooSmall`] where no working
/// set fits, [`Error::NoBlocks`] where the budget allows fewer than two blocks.
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

/// The machine with the given ceilings; `None` where the read bandwidth, the peaks or the overheads are missing.
///
/// Of two ceilings of one kind the later counts. Without copy or triad, the bandwidth is that of reads: predictions take
/// the best of the three.
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
    let (peaks, read) = (peaks?, read?);
    let or_read = |curve: Option<Curve>| curve.unwrap_or_else(|| read.clone());
    Some(Machine {
        name: name.to_owned(),
        bandwidth: Bandwidth { copy: or_read(copy), triad: or_read(triad), read },
        flops_f32: peaks.f32.rate,
        flops_f16: peaks.f16.as_ref().map(|p| p.rate),
        overheads: overheads?,
    })
}

/// Budget per quantity: 3 s if `quick`, else 20 s, which gives stable intervals.
#[must_use]
pub const fn budget(quick: bool) -> Budget {
    if quick {
        Budget { warmup: 1, min_reps: 6, max_reps: 8, budget_s: 3.0 }
    } else {
        Budget { warmup: 1, min_reps: 7, max_reps: 50, budget_s: 20.0 }
    }
}

/// Whether half a budget is too short for every working-set size.
pub(crate) fn is_quick(budget: &Budget) -> bool {
    budget.budget_s < 5.0
}
