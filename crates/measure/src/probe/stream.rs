//! Bandwidth against working-set size: reading, copying, STREAM's triad.
//!
//! Repeating a launch over the same buffers measures the cache level that they fit in, and that is the point of the
//! curve. Small working sets are gone through many times within one launch, so that bandwidth and not the launch is
//! measured; sets beyond the largest binding are split over several buffers that are taken in turn.

use super::blocks::{blocks, ceiling};
use super::slope::grown;
use super::{Clock, Error, Timer, Unit, is_quick};
use crate::Device;
use ridgeline_compute::{Buffer, Caps, Executor, Kernel, Recording, Role, Slice, TestRng};
use ridgeline_experiment::matrix::Budget;
use ridgeline_gpu::{Passes, Policy};
use ridgeline_kernels::copy::{self, Copy as CopyWords};
use ridgeline_kernels::mat_vec;
use ridgeline_kernels::stream_read::{self, StreamRead};
use ridgeline_kernels::triad::{self, Triad};
use ridgeline_kernels::{Epilogue, LinearKernel, Reduce, layout_for, linear_for};
use ridgeline_quant::Format;
use ridgeline_roofline::{Curve, Sample};
use serde::{Deserialize, Serialize};

/// What products do with their sums here.
const STORE: u32 = Epilogue::Store as u32;

/// The smallest working set, bytes: less than any first-level cache.
const SMALLEST: u64 = 16 << 10;
/// The least that the largest working set is, bytes, on devices of little memory.
const LEAST: u64 = 256 << 20;

/// The largest working set, bytes: several times the last-level cache, which is a quarter of this on the largest GPUs.
const fn largest(caps: &Caps) -> u64 {
    if caps.software { LEAST } else { 1 << 30 }
}

/// From this size on the weights of a matrix-vector product are a candidate for reading; below it, launches dominate.
const PRODUCT_FROM: u64 = 1 << 20;
/// Columns of that product.
const PRODUCT_COLUMNS: u32 = 2048;
/// Candidates that go on to larger sizes than that.
const CONTENDERS: usize = 3;
/// Shortest time of the passes within one launch, seconds.
const LAUNCH_S: f64 = 3e-3;

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// One stream that is read.
    Read,
    /// One that is read and one that is written.
    Copy,
    /// Two that are read and one that is written.
    Triad,
}

/// A measured curve and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamCurve {
    /// Bandwidth against working-set size.
    pub curve: Curve,
    /// The kernel variant that was fastest, by size.
    pub variants: Vec<String>,
    /// Bytes/s by size and block.
    pub blocks: Vec<Vec<f64>>,
    /// Device time by timestamps over the time by slope, at the largest size; `None` without plausible timestamps.
    pub timestamp_ratio: Option<f64>,
    /// First quarter of the blocks over the rest; `None` below eight blocks.
    pub drift: Option<f64>,
}

impl Stream {
    /// Buffers that a launch goes through.
    const fn streams(self) -> u64 {
        match self {
            Self::Read => 1,
            Self::Copy => 2,
            Self::Triad => 3,
        }
    }
}

/// A kernel that may be the fastest.
#[derive(Clone, Copy, Debug)]
enum Candidate {
    Read(StreamRead),
    Weights(LinearKernel),
    Copy(CopyWords),
    Triad(Triad),
}

/// The buffers: one set of as many as there are streams for each launch, the same in textures where those are read, and
/// two small ones.
struct Sets {
    sets: Vec<Vec<Buffer>>,
    textures: Vec<Vec<Buffer>>,
    sums: Buffer,
    x: Buffer,
}

/// Measures one curve; the blocks' wall times come with it.
///
/// # Errors
/// What the device says.
pub fn curve(
    timer: &mut Timer<'_>,
    stream: Stream,
    budget: &Budget,
) -> Result<(StreamCurve, Vec<u64>), Error> {
    let mut most = largest(timer.device.caps());
    let sets = loop {
        match Sets::new(timer.device, stream, most) {
            Err(error) if most > LEAST => {
                tracing::warn!("bandwidth is measured to {} MiB: {error}", most >> 21);
            }
            sets => break sets?,
        }
        most /= 2;
    };
    let mut candidates = candidates(timer.device, stream);
    let (mut sizes, mut units, mut variants) = (Vec::new(), Vec::new(), Vec::new());
    for bytes in sizes_of(most, is_quick(budget)) {
        let (unit, variant) = fastest(timer, &sets, &mut candidates, bytes)?;
        sizes.push(bytes);
        units.push(unit);
        variants.push(variant);
    }
    let measured = blocks(timer, &units, Clock::SubmitToComplete, budget)?;
    let rates = |(unit, seconds): (&Unit, &Vec<f64>)| -> Vec<f64> {
        seconds.iter().map(|s| unit.bytes() / s).collect()
    };
    let rates: Vec<Vec<f64>> = units.iter().zip(&measured.seconds).map(rates).collect();
    let sample = |(&bytes, rates): (&u64, &Vec<f64>)| -> Result<Sample, Error> {
        Ok(Sample { bytes, rate: ceiling(rates).ok_or(Error::NoBlocks)? })
    };
    let samples = sizes.iter().zip(&rates).map(sample).collect::<Result<Vec<_>, Error>>()?;
    let timestamp_ratio = match (units.last(), samples.last()) {
        (Some(unit), Some(largest)) => timestamps(timer, unit, largest.rate.value)?,
        _ => None,
    };
    let drift = measured.drift();
    let curve = Curve::new(samples)?;
    Ok((StreamCurve { curve, variants, blocks: rates, timestamp_ratio, drift }, measured.block_ns))
}

/// Working-set sizes: doubling, or eight-fold where time is short; the largest is always there.
fn sizes_of(largest: u64, quick: bool) -> Vec<u64> {
    let factor = if quick { 8 } else { 2 };
    let mut sizes: Vec<u64> =
        std::iter::successors(Some(SMALLEST), |s| Some(s * factor)).take_while(|s| *s < largest).collect();
    sizes.push(largest);
    sizes
}

/// Every kernel that moves bytes in this way, and is worth trying.
fn candidates(device: &Device, stream: Stream) -> Vec<Candidate> {
    let caps = device.caps();
    match stream {
        Stream::Read => {
            // The product that reads weights is a candidate too, so that it cannot beat this ceiling.
            let weights = linear_for(Format::SINGLE, 1, caps);
            // Textures where weights lie in them.
            let textures = layout_for(caps).in_texture();
            let best = |k: &StreamRead| k.reduce == Reduce::all(caps)[0] && (textures || !k.texture);
            let probes = StreamRead::all(caps).into_iter().filter(best).map(Candidate::Read);
            probes.chain([Candidate::Weights(weights)]).collect()
        }
        Stream::Copy => CopyWords::all(caps).into_iter().map(Candidate::Copy).collect(),
        Stream::Triad => Triad::all(caps).into_iter().map(Candidate::Triad).collect(),
    }
}

/// The fastest candidate at a size, ready to be timed, and its name.
fn fastest(
    timer: &mut Timer<'_>,
    sets: &Sets,
    candidates: &mut Vec<Candidate>,
    bytes: u64,
) -> Result<(Unit, String), Error> {
    let mut tried: Vec<(f64, Candidate, Unit)> = Vec::new();
    let mut rounds = 1;
    for &candidate in &*candidates {
        let Some(mut work) = sets.record(candidate, bytes, rounds) else { continue };
        // The first run compiles the kernel.
        timer.run(&work, Clock::SubmitToComplete)?;
        loop {
            let spent = (timer.run(&work, Clock::SubmitToComplete)? - timer.empty_s).max(1e-6);
            if spent >= LAUNCH_S || !candidate.has_rounds() || rounds > 1 << 20 {
                break;
            }
            rounds = grown(rounds, LAUNCH_S / spent);
            work = sets.record(candidate, bytes, rounds).unwrap_or(work);
        }
        let unit = timer.unit(&work)?;
        let rate = unit.bytes() / unit.estimate_s;
        tried.push((rate, candidate, unit));
    }
    tried.sort_by(|a, b| b.0.total_cmp(&a.0));
    if bytes >= PRODUCT_FROM {
        // Everything was tried by now; what lags behind need not be tried on large sets, which take long.
        *candidates = tried.iter().take(CONTENDERS).map(|t| t.1).collect();
    }
    let limit = timer.device.caps().max_buffer;
    let (_, candidate, unit) =
        tried.into_iter().next().ok_or(Error::TooSmall { what: "working set", bytes, limit })?;
    Ok((unit, candidate.label()))
}

impl Candidate {
    fn label(self) -> String {
        match self {
            Self::Read(k) => format!("{k:?}"),
            Self::Weights(k) => format!("{k:?}"),
            Self::Copy(k) => format!("{k:?}"),
            Self::Triad(k) => format!("{k:?}"),
        }
    }

    fn in_texture(self) -> bool {
        match self {
            Self::Read(k) => k.texture,
            Self::Weights(k) => k.layout().in_texture(),
            Self::Copy(_) | Self::Triad(_) => false,
        }
    }

    /// Whether one launch can go through its buffers several times.
    const fn has_rounds(self) -> bool {
        !matches!(self, Self::Weights(_))
    }
}

/// Filled sets for the largest size, in buffers or in textures.
fn sets_in(
    device: &mut Device,
    (stream, bytes): (Stream, u64),
    texture: bool,
) -> Result<Vec<Vec<Buffer>>, Error> {
    let most = device.caps().largest(texture) / 4096 * 4096;
    let each = bytes / stream.streams();
    let count = each.div_ceil(most);
    let bytes = (each / count).next_multiple_of(4096).min(most);
    let mut alloc = || -> Result<_, Error> {
        let buffer = device.alloc_in(texture, bytes, Role::Activation, "working set")?;
        fill(device, &buffer)?;
        Ok(buffer)
    };
    let mut set = || (0..stream.streams()).map(|_| alloc()).collect();
    (0..count).map(|_| set()).collect()
}

impl Sets {
    /// Allocates and fills the buffers for sets of up to `bytes` bytes.
    fn new(device: &mut Device, stream: Stream, bytes: u64) -> Result<Self, Error> {
        let textures = layout_for(device.caps()).in_texture();
        let sets = sets_in(device, (stream, bytes), false)?;
        let textures = match stream {
            Stream::Read if textures => sets_in(device, (stream, bytes), true)?,
            _ => Vec::new(),
        };
        let small = |device: &mut Device, label| device.alloc(1 << 20, Role::Activation, label);
        let (sums, x) = (small(device, "sums")?, small(device, "x")?);
        fill(device, &x)?;
        Ok(Self { sets, textures, sums, x })
    }

    /// The launches of one pass over `bytes` bytes, or of `rounds`; `None` where the candidate is not for this size.
    fn record(&self, candidate: Candidate, bytes: u64, rounds: u32) -> Option<Recording> {
        let sets = if candidate.in_texture() { &self.textures } else { &self.sets };
        let streams = sets[0].len() as u64;
        let count = (bytes / streams).div_ceil(sets[0][0].bytes());
        let part = bytes / streams / count / 256 * 256;
        let n = u32::try_from(part / 4).ok()?;
        let mut recording = Recording::new();
        for set in sets.iter().take(usize::try_from(count).ok()?) {
            let part: Vec<Slice> = set.iter().map(|b| b.all().head(part)).collect();
            match candidate {
                Candidate::Read(k) => {
                    let args = stream_read::Args { from_words: part[0], sums: self.sums.all() };
                    recording.run(k, stream_read::Params { n, rounds }, args);
                }
                Candidate::Copy(k) => {
                    let args = copy::Args { from_words: part[0], to: part[1] };
                    recording.run(k, copy::Params { n, rounds }, args);
                }
                Candidate::Triad(k) => {
                    let args = triad::Args { a: part[0], b: part[1], to: part[2] };
                    recording.run(k, triad::Params { n, rounds, factor: 0.5 }, args);
                }
                Candidate::Weights(k) => {
                    if bytes < PRODUCT_FROM {
                        return None;
                    }
                    // Whole groups of interleaved rows.
                    let rows_interleaved = u32::try_from(k.layout().rows_interleaved()).ok()?;
                    let (n_cols, n_rows) =
                        (PRODUCT_COLUMNS, n / PRODUCT_COLUMNS / rows_interleaved * rows_interleaved);
                    let stride = n_cols / 4;
                    let params = mat_vec::Params {
                        n_rows,
                        n_cols,
                        n_vecs: 1,
                        stride,
                        ld: n_rows,
                        row0: 0,
                        epilogue: STORE,
                    };
                    let args = mat_vec::Args { weights: part[0], x: self.x.all(), y: self.sums.all() };
                    k.record(&mut recording, params, args);
                }
            }
        }
        Some(recording)
    }
}

/// Fills a buffer with floats in [1, 2): untouched memory may be one shared page of zeros, and faster than memory.
pub(crate) fn fill(device: &mut Device, buffer: &Buffer) -> Result<(), Error> {
    const CHUNK: u64 = 4 << 20;
    let mut rng = TestRng::new(buffer.bytes());
    // Either half of a word is a 16-bit float near 1 too, so that no number format meets a NaN.
    let half = |bits: u64| 0x3c00 | (bits & 0x01ff);
    let word = |bits: u64| u32::try_from(half(bits) << 16 | half(bits >> 16)).unwrap_or(0x3c00_3c00);
    let words: Vec<u32> = (0..CHUNK.min(buffer.bytes()) / 4).map(|_| word(rng.bits())).collect();
    for offset in (0..buffer.bytes()).step_by(usize::try_from(CHUNK).unwrap_or(1 << 22)) {
        let bytes = CHUNK.min(buffer.bytes() - offset);
        let words = &words[..usize::try_from(bytes / 4).unwrap_or(words.len()).min(words.len())];
        device.write(buffer.slice(offset, bytes), bytemuck::cast_slice(words))?;
    }
    Ok(())
}

/// Device time of a unit by timestamps, over its time by slope.
fn timestamps(timer: &mut Timer<'_>, unit: &Unit, bytes_per_s: f64) -> Result<Option<f64>, Error> {
    let Some(gpu) = timer.device.gpu() else { return Ok(None) };
    let before = gpu.policy();
    gpu.set_policy(Policy { passes: Passes::Launch, profile: true, ..before });
    let mut best: Option<u64> = None;
    let mut failed = None;
    for _ in 0..3 {
        match timer.device.run(unit.recording()) {
            Ok(outcome) => {
                let sum = outcome.timing.step_ns.map(|steps| steps.iter().sum::<u64>());
                best = best.into_iter().chain(sum).min();
            }
            Err(error) => failed = Some(error),
        }
    }
    if let Some(gpu) = timer.device.gpu() {
        gpu.set_policy(before);
    }
    match failed {
        Some(error) => Err(error.into()),
        None => {
            let bytes = unit.bytes() * f64::from(unit.copies());
            Ok(best.map(|ns| ns as f64 * 1e-9 * bytes_per_s / bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SMALLEST, largest, sizes_of};
    use ridgeline_compute::Caps;

    #[test]
    fn sizes_double_and_end_at_the_largest() {
        for (software, most) in [(true, 256 << 20), (false, 1 << 30)] {
            let most_of = largest(&Caps { software, ..Caps::webgpu() });
            let (sizes, quick) = (sizes_of(most_of, false), sizes_of(most_of, true));
            assert_eq!((sizes[0], sizes.last(), quick.last()), (SMALLEST, Some(&most), Some(&most)));
            assert!(sizes.windows(2).all(|w| w[1] == 2 * w[0]), "{sizes:?}");
            assert!(quick.len() < 8 && quick.windows(2).all(|w| w[0] < w[1]), "{quick:?}");
        }
    }
}
