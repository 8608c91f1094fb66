//! Bandwidth by working-set size: read, copy and triad of STREAM (`McCalpin` 1995).
//!
//! ```text
//! read:  sum += a[i]        copy: c[i] = a[i]        triad: c[i] = a[i] + s·b[i]
//! for each working-set size:  calibrate every kernel variant, keep the fastest
//! in every block: time the variant of each size; rate = bytes / seconds of one traversal
//! ```
//!
//! STREAM uses arrays larger than any cache. Here small arrays matter too: a repeated launch over the same buffers
//! measures the cache level that holds them. A small working set is traversed many times per launch, so that the
//! launch cost is hidden. A working set above the largest binding is split over several buffers.

use super::blocks::{blocks, ceiling};
use super::slope::grown;
use super::{Clock, Error, Timer, Unit, is_quick};
use crate::Device;
use ridgeline_compute::{Buffer, Caps, Executor, Kernel, Recording, Role, RunOptions, Slice, TestRng};
use ridgeline_experiment::matrix::Budget;
use ridgeline_kernels::copy::{self, Copy as CopyWords};
use ridgeline_kernels::mat_vec;
use ridgeline_kernels::stream_read::{self, StreamRead};
use ridgeline_kernels::triad::{self, Triad};
use ridgeline_kernels::{Epilogue, LinearKernel, Reduce, layout_for, linear_for};
use ridgeline_quant::Format;
use ridgeline_roofline::{Curve, Sample};
use serde::{Deserialize, Serialize};

/// Every mat-vec stores its sums without an activation function.
const STORE: u32 = Epilogue::Store as u32;

/// The smallest working set in bytes: below any first-level cache.
const SMALLEST: u64 = 16 << 10;
/// Lower bound of the largest working set in bytes, for devices with little memory.
const LEAST: u64 = 256 << 20;

/// The largest working set in bytes. The largest GPUs have a last-level cache of a quarter of it.
const fn largest(caps: &Caps) -> u64 {
    if caps.software { LEAST } else { 1 << 30 }
}

/// Least bytes of weights for a mat-vec to be a candidate for the read curve; below it, launches dominate.
const MAT_VEC_FROM: u64 = 1 << 20;
/// Columns of that mat-vec.
const MAT_VEC_COLUMNS: u32 = 2048;
/// Candidates that are kept for working sets above [`MAT_VEC_FROM`].
const CONTENDERS: usize = 3;
/// Shortest time of the traversals within one launch, in seconds.
const LAUNCH_S: f64 = 3e-3;

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Reads one array.
    Read,
    /// Reads one array and writes one.
    Copy,
    /// Reads two arrays and writes one.
    Triad,
}

/// A measured curve with its kernel variants and blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamCurve {
    /// Bandwidth in bytes/s by working-set size in bytes.
    pub curve: Curve,
    /// The fastest kernel variant of each size.
    pub variants: Vec<String>,
    /// Bytes/s: `blocks[size][block]`.
    pub blocks: Vec<Vec<f64>>,
    /// Time by device timestamps over time by slope, at the largest size; `None` without plausible timestamps.
    pub timestamp_ratio: Option<f64>,
    /// Time of the first quarter of the blocks over time of the rest; `None` below eight blocks.
    pub drift: Option<f64>,
}

impl Stream {
    /// Arrays per launch.
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

/// The buffers of a working set.
struct Sets {
    /// One set per launch, with one buffer per array.
    sets: Vec<Vec<Buffer>>,
    /// The same in textures, on devices that keep weights in textures.
    textures: Vec<Vec<Buffer>>,
    /// Results of the read kernels.
    sums: Buffer,
    /// The vector of the mat-vec.
    x: Buffer,
}

/// Measures one curve. Also returns the wall time of each block in nanoseconds.
///
/// # Errors
/// [`Error::Run`] where the device fails, [`Error::TooSmall`] where no working set fits, [`Error::NoBlocks`] where the
/// budget allows fewer than two blocks.
pub fn curve(
    timer: &mut Timer<'_>,
    stream: Stream,
    budget: &Budget,
) -> Result<(StreamCurve, Vec<u64>), Error> {
    let mut most = largest(timer.device.caps());
    let sets = loop {
        match Sets::new(timer.device, stream, most) {
            Err(error) if most > LEAST => {
                tracing::warn!(
                    "bandwidth is measured for working sets up to {} MiB only: {error}",
                    most >> 21
                );
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

/// Working-set sizes in bytes, by factors of two, or of eight if `quick`. The last is always `largest`.
fn sizes_of(largest: u64, quick: bool) -> Vec<u64> {
    let factor = if quick { 8 } else { 2 };
    let mut sizes: Vec<u64> =
        std::iter::successors(Some(SMALLEST), |s| Some(s * factor)).take_while(|s| *s < largest).collect();
    sizes.push(largest);
    sizes
}

/// The kernel variants for a kind of traffic.
fn candidates(device: &Device, stream: Stream) -> Vec<Candidate> {
    let caps = device.caps();
    match stream {
        Stream::Read => {
            // The mat-vec is a candidate too, so that it cannot exceed this ceiling.
            let weights = linear_for(Format::SINGLE, 1, caps);
            // Textures only where weights are kept in textures.
            let textures = layout_for(caps).in_texture();
            let best = |k: &StreamRead| k.reduce == Reduce::all(caps)[0] && (textures || !k.texture);
            let probes = StreamRead::all(caps).into_iter().filter(best).map(Candidate::Read);
            probes.chain([Candidate::Weights(weights)]).collect()
        }
        Stream::Copy => CopyWords::all(caps).into_iter().map(Candidate::Copy).collect(),
        Stream::Triad => Triad::all(caps).into_iter().map(Candidate::Triad).collect(),
    }
}

/// The fastest candidate at a size, ready to be timed, and its label.
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
    if bytes >= MAT_VEC_FROM {
        // The mat-vec has been tried by now. Large sets take long, so they are timed with the fastest candidates alone.
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

    /// Whether one launch can traverse its buffers several times.
    const fn has_rounds(self) -> bool {
        !matches!(self, Self::Weights(_))
    }
}

/// Filled buffers or textures for a working set of `bytes` bytes.
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
    /// Allocates and fills the buffers for working sets of up to `bytes` bytes.
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

    /// The launches of `rounds` traversals of `bytes` bytes; `None` where the candidate does not support the size.
    fn record(&self, candidate: Candidate, bytes: u64, rounds: u32) -> Option<Recording> {
        let sets = if candidate.in_texture() { &self.textures } else { &self.sets };
        let streams = sets[0].len() as u64;
        let count = (bytes / streams).div_ceil(sets[0][0].bytes());
        let part = bytes / streams / count / 256 * 256;
        let n = u32::try_from(part / 4).ok()?;
        let mut recording = Recording::new();
        for set in sets.iter().take(usize::try_from(count).ok()?) {
            let parts: Vec<Slice> = set.iter().map(|b| b.all().head(part)).collect();
            match candidate {
                Candidate::Read(k) => {
                    let args = stream_read::Args { from_words: parts[0], sums: self.sums.all() };
                    recording.run(k, stream_read::Params { n, rounds }, args);
                }
                Candidate::Copy(k) => {
                    let args = copy::Args { from_words: parts[0], to: parts[1] };
                    recording.run(k, copy::Params { n, rounds }, args);
                }
                Candidate::Triad(k) => {
                    let args = triad::Args { a: parts[0], b: parts[1], to: parts[2] };
                    recording.run(k, triad::Params { n, rounds, factor: 0.5 }, args);
                }
                Candidate::Weights(k) => {
                    if bytes < MAT_VEC_FROM {
                        return None;
                    }
                    // Whole groups of interleaved rows.
                    let rows_interleaved = u32::try_from(k.layout().rows_interleaved()).ok()?;
                    let (n_cols, n_rows) =
                        (MAT_VEC_COLUMNS, n / MAT_VEC_COLUMNS / rows_interleaved * rows_interleaved);
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
                    let args = mat_vec::Args { weights: parts[0], x: self.x.all(), y: self.sums.all() };
                    k.record(&mut recording, params, args);
                }
            }
        }
        Some(recording)
    }
}

/// Fills a buffer with floats in [1, 2). Untouched memory may be one shared page of zeros, which caches hold.
pub(crate) fn fill(device: &mut Device, buffer: &Buffer) -> Result<(), Error> {
    const CHUNK: u64 = 4 << 20;
    let mut rng = TestRng::new(buffer.bytes());
    // Either half of a word is a 16-bit float near 1 too, so that no quantization type decodes to a NaN.
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

/// Time of a unit by device timestamps over its time by slope; the best of three runs.
fn timestamps(timer: &mut Timer<'_>, unit: &Unit, bytes_per_s: f64) -> Result<Option<f64>, Error> {
    let mut best: Option<u64> = None;
    for _ in 0..3 {
        let outcome = timer.device.run_with(unit.recording(), RunOptions::stamp_launches())?;
        let sum = outcome.timing.device_ns.map(|launches| launches.iter().sum::<u64>());
        best = best.into_iter().chain(sum).min();
    }
    let bytes = unit.bytes() * f64::from(unit.copies());
    Ok(best.map(|ns| ns as f64 * 1e-9 * bytes_per_s / bytes))
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
