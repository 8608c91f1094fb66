//! Arithmetic ceilings: the best rate that any shipped kernel reaches, products at 32 and at 16 bits and attention; and
//! the matrix-vector products of the bandwidth study.

use super::blocks::{Blocks, blocks, ceiling, typical};
use super::stream::fill;
use super::{Clock, Error, Timer, Unit, attention};
use crate::Device;
use crate::timing::Stopwatch;
use ridgeline_compute::{AnyKernel, Buffer, Caps, Executor, Kernel, Recording, Role};
use ridgeline_experiment::matrix::Budget;
use ridgeline_kernels::mat_mul::{MatMul, Tile};
use ridgeline_kernels::mat_mul_coop::MatMulCoop;
use ridgeline_kernels::mat_vec::{self, MatVec};
use ridgeline_kernels::mat_vec_rows::MatVecRows;
use ridgeline_kernels::{Epilogue, LinearKernel, Reduce, Tuning, WeightLayout, layout_for, stride};
use ridgeline_quant::Format;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What products do with their sums here.
const STORE: u32 = Epilogue::Store as u32;

/// Rows, columns and vectors of the products tried, by rising work: the shapes of small models, wide ones among them as
/// long sums waste least, then squares that fill large devices.
const SHAPES: [(u32, u32, u32); 12] = [
    (768, 256, 128),
    (256, 768, 128),
    (576, 576, 128),
    (768, 768, 128),
    (1536, 576, 128),
    (576, 1536, 128),
    (768, 2048, 128),
    (1024, 1024, 128),
    (1024, 1024, 512),
    (2048, 2048, 512),
    (4096, 4096, 512),
    (4096, 4096, 4096),
];

/// Vectors of the tile-free product where it competes at a few vectors; it also does at as many as the tiles get.
const FEW: u32 = 16;

/// A product is left out if one run of it would take longer than this, seconds.
const LONGEST_S: f64 = 0.15;

/// A variant that reaches less than this share of the rate of its kernel's fastest at one shape is not tried at others.
const MIN_RELATIVE_RATE: f64 = 0.6;

/// Candidates that are measured in blocks, the fastest of the calibration.
const FINALISTS: usize = 3;

/// Rows and columns of the bandwidth study's matrix.
const SIDE: u32 = 8192;

/// A rate and where it was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// FLOP/s or bytes/s, as the holder says.
    pub rate: Measured,
    /// Kernel variant and shape.
    pub variant: String,
    /// The rate of each block.
    pub blocks: Vec<f64>,
}

/// Arithmetic ceilings in FLOP/s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// At 32 bits, by products or attention.
    pub f32: Rate,
    /// By products of 16-bit operands; `None` where the device has no 16-bit shaders.
    pub f16: Option<Rate>,
    /// First quarter of the blocks over the rest; `None` below eight blocks.
    pub drift: Option<f64>,
}

/// Bandwidth of one matrix-vector product, bytes/s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatVecRate {
    /// Number format of the matrix.
    pub format: String,
    /// Bytes of the matrix.
    pub bytes: u64,
    /// One product after another within a submission.
    pub streamed: Measured,
    /// A submission and a wait for each product, as the study timed it.
    pub synchronised: Measured,
    /// The streamed rate of each block.
    pub blocks: Vec<f64>,
    /// The rate of each product that was waited for.
    pub synchronised_blocks: Vec<f64>,
}

/// Matrix-vector products at 8192 × 8192 in several number formats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatVecs {
    /// One for each number format.
    pub products: Vec<MatVecRate>,
}

/// A candidate, ready to be timed.
struct Finalist {
    unit: Unit,
    label: String,
    flops_per_s: f64,
}

/// Measures the arithmetic ceilings; the blocks' wall times come with them.
///
/// # Errors
/// What the device says.
pub fn peaks(timer: &mut Timer<'_>, budget: &Budget) -> Result<(Peaks, Vec<u64>), Error> {
    let caps = timer.device.caps().clone();
    // Compiling takes most of it; a shape that is left out may be the fastest.
    let deadline = budget.budget_s;
    let singles = finalists(timer, &caps, Tile::F32, deadline)?;
    let halves = if caps.f16 { finalists(timer, &caps, Tile::F16, deadline)? } else { Vec::new() };
    let all: Vec<Unit> = singles.iter().chain(&halves).map(|f| f.unit.clone()).collect();
    let measured = blocks(timer, &all, Clock::SubmitToComplete, budget)?;
    let (first, second) = measured.seconds.split_at(singles.len());
    let peaks = Peaks {
        f32: peak(&singles, first).ok_or(Error::NoBlocks)?,
        f16: peak(&halves, second),
        drift: measured.drift(),
    };
    Ok((peaks, measured.block_ns))
}

/// The ceiling over finalists: in every block the better of them.
fn peak(finalists: &[Finalist], seconds: &[Vec<f64>]) -> Option<Rate> {
    let rate = |i: usize, block: usize| finalists[i].unit.flops() / seconds[i][block];
    let best = |block: usize| (0..finalists.len()).map(|i| rate(i, block)).fold(0.0, f64::max);
    let blocks: Vec<f64> = (0..seconds.first()?.len()).map(best).collect();
    let variant = finalists.iter().map(|f| f.label.as_str()).collect::<Vec<_>>().join("; ");
    Some(Rate { rate: ceiling(&blocks)?, variant, blocks })
}

/// The fastest kernels of a precision, by one quick run at every shape that is not too long: of every variant at the
/// first shape, and of those that kept up at the shapes after it.
fn finalists(timer: &mut Timer<'_>, caps: &Caps, tile: Tile, budget_s: f64) -> Result<Vec<Finalist>, Error> {
    let start = Stopwatch::start();
    let mut tried: Vec<Finalist> = Vec::new();
    let mut out: HashSet<String> = HashSet::new();
    for (rows, cols, vecs) in SHAPES {
        let best = tried.first().map_or(1e9, |f| f.flops_per_s);
        let flops = 2.0 * f64::from(rows) * f64::from(cols) * f64::from(vecs);
        if flops / best > LONGEST_S || (!tried.is_empty() && start.seconds() > budget_s) {
            break;
        }
        let operands = Operands::new(timer, (rows, cols, vecs))?;
        let mut here = Vec::new();
        for (kernel, size, work) in works(&operands, caps, tile, (rows, cols, vecs)) {
            if out.contains(&kernel) {
                continue;
            }
            let unit = timer.unit(&work)?.with_buffers(&operands.all());
            let flops_per_s = unit.flops() / unit.estimate_s;
            let label = format!("{kernel} at {size}");
            here.push((kernel, flops_per_s));
            tried.push(Finalist { unit, label, flops_per_s });
        }
        // Small shapes suit some kernels and large ones others, so that a variant competes with its own kernel's.
        let kind = |kernel: &str| kernel.split(' ').next().unwrap_or_default().to_owned();
        let best =
            |of: &dyn Fn(&str) -> bool| here.iter().filter(|it| of(&it.0)).map(|it| it.1).fold(0.0, f64::max);
        for (kernel, _) in &here {
            if best(&|it| it == kernel) < MIN_RELATIVE_RATE * best(&|it| kind(it) == kind(kernel)) {
                out.insert(kernel.clone());
            }
        }
        fastest(&mut tried);
    }
    // Attention computes at 32 bits whatever the cache holds.
    if tile == Tile::F32 {
        for (label, work, buffers) in attention::works(timer)? {
            let unit = timer.unit(&work)?.with_buffers(&buffers);
            let flops_per_s = unit.flops() / unit.estimate_s;
            tried.push(Finalist { unit, label, flops_per_s });
        }
        fastest(&mut tried);
    }
    Ok(tried)
}

/// Leaves as many of the fastest as are measured in blocks.
fn fastest(tried: &mut Vec<Finalist>) {
    tried.sort_by(|a, b| b.flops_per_s.total_cmp(&a.flops_per_s));
    tried.truncate(FINALISTS);
}

/// Memory for x, y and, in each layout that a kernel here asks for, W, large enough for every format.
struct Operands {
    x: Buffer,
    y: Buffer,
    weights: Vec<(WeightLayout, Buffer)>,
}

impl Operands {
    fn new(timer: &mut Timer<'_>, (rows, cols, vecs): (u32, u32, u32)) -> Result<Self, Error> {
        let interleaved = layout_for(timer.device.caps());
        let mut alloc = |layout: WeightLayout, a: u32, b: u32, label| -> Result<_, Error> {
            let bytes = 4 * u64::from(a) * u64::from(b);
            let buffer = timer.device.alloc_in(layout.in_texture(), bytes, Role::Activation, label)?;
            fill(timer.device, &buffer)?;
            Ok(buffer)
        };
        let vecs = vecs.max(FEW);
        let (x, y) =
            (alloc(WeightLayout::Plain, vecs, cols, "x")?, alloc(WeightLayout::Plain, vecs, rows, "y")?);
        let mut weights = vec![(WeightLayout::Plain, alloc(WeightLayout::Plain, rows, cols, "weights")?)];
        if interleaved != WeightLayout::Plain {
            weights.push((interleaved, alloc(interleaved, rows, cols, "weights")?));
        }
        Ok(Self { x, y, weights })
    }

    fn all(&self) -> Vec<Buffer> {
        let weights = self.weights.iter().map(|(_, buffer)| buffer.clone());
        [self.x.clone(), self.y.clone()].into_iter().chain(weights).collect()
    }
}

/// Every product variant of a precision at one shape, whatever the weights are stored in: kernel, size, launch.
fn works(
    operands: &Operands,
    caps: &Caps,
    tile: Tile,
    (n_rows, n_cols, n_vecs): (u32, u32, u32),
) -> Vec<(String, String, Recording)> {
    let (x, y) = (operands.x.all(), operands.y.all());
    let mut works = Vec::new();
    // Blocks have to be decoded on top: plain floats reach the peak, and more candidates leave shapes untried.
    let plain = |format: Format| format.spec().block_len == 1;
    let mut work = |choice: LinearKernel, n_vecs: u32| {
        let Some((_, weights)) = operands.weights.iter().find(|it| it.0 == choice.layout()) else { return };
        let weights = weights.all();
        let stride = stride(choice.format(), n_cols as usize);
        let params = mat_vec::Params { n_rows, n_cols, n_vecs, stride, ld: n_rows, row0: 0, epilogue: STORE };
        let mut recording = Recording::new();
        choice.record(&mut recording, params, mat_vec::Args { weights, x, y });
        let kernel = AnyKernel::from(choice).label();
        works.push((kernel, format!("{n_rows}×{n_cols}·{n_vecs}"), recording));
    };
    for kernel in MatMul::all(caps).into_iter().filter(|k| k.tile == tile && plain(k.format)) {
        work(LinearKernel::Mul(kernel), n_vecs);
    }
    if tile == Tile::F16 {
        for kernel in MatMulCoop::all(caps).into_iter().filter(|k| plain(k.format)) {
            work(LinearKernel::Coop(kernel), n_vecs);
        }
    }
    // Without tiles, products are 32-bit ones.
    if tile == Tile::F32 {
        let few = |k: &MatVec| plain(k.format) && k.cols >= 4 && k.reduce == Reduce::all(caps)[0];
        let vecs = MatVec::all(caps).into_iter().filter(few).map(LinearKernel::Vec);
        let few = |k: &MatVecRows| plain(k.format) && k.cols >= 4;
        let rows = MatVecRows::all(caps).into_iter().filter(few).map(LinearKernel::Rows);
        for choice in vecs.chain(rows) {
            for n_vecs in [FEW, n_vecs.min(128)] {
                work(choice, n_vecs);
            }
        }
    }
    works
}

/// Bits per weight of the bandwidth study's quantised matrix: 4, and a 16-bit scale and bias for 64 weights.
pub const STUDY_BITS_PER_WEIGHT: f64 = 4.5;

/// Bits per weight of a format in a file.
fn bits(format: Format) -> f64 {
    let spec = format.spec();
    spec.block_bytes as f64 * 8.0 / spec.block_len as f64
}

/// Single precision, and of all other formats the one whose bits per weight are nearest to the study's.
fn studied() -> Vec<Format> {
    let others = Format::ALL.iter().copied().filter(|f| *f != Format::SINGLE);
    let far = |f: &Format| (bits(*f) - STUDY_BITS_PER_WEIGHT).abs();
    let nearest = others.min_by(|a, b| far(a).total_cmp(&far(b)));
    [Format::SINGLE].into_iter().chain(nearest).collect()
}

/// Matrix-vector products at 8192 × 8192 in single precision and in the format nearest to the study's quantised one,
/// split over as many launches as the largest binding asks for.
///
/// # Errors
/// What the device says.
pub fn mat_vecs(timer: &mut Timer<'_>, budget: &Budget) -> Result<(MatVecs, Vec<u64>), Error> {
    let formats = studied();
    let (mut units, mut works) = (Vec::new(), Vec::new());
    for &format in &formats {
        let (work, buffers) = split(timer, (format, &Tuning::default()), [SIDE, SIDE])?;
        units.push(timer.unit(&work)?.with_buffers(&buffers));
        works.push(work);
    }
    let measured = blocks(timer, &units, Clock::SubmitToComplete, budget)?;
    let Blocks { seconds, block_ns } = measured;
    let mut products = Vec::new();
    for (((format, unit), seconds), work) in formats.iter().zip(&units).zip(&seconds).zip(&works) {
        let rates: Vec<f64> = seconds.iter().map(|s| unit.bytes() / s).collect();
        let mut synchronised_blocks = Vec::new();
        for _ in 0..seconds.len().clamp(3, 12) {
            synchronised_blocks.push(unit.bytes() / timer.run(work, Clock::WithEncoding)?);
        }
        products.push(MatVecRate {
            format: format.to_string(),
            bytes: work.cost().weights,
            streamed: ceiling(&rates).ok_or(Error::NoBlocks)?,
            synchronised: typical(&synchronised_blocks).ok_or(Error::NoBlocks)?,
            blocks: rates,
            synchronised_blocks,
        });
    }
    Ok((MatVecs { products }, block_ns))
}

/// Seconds of the product of a matrix of `[rows, cols]` with a vector by the kernel that `tuning` chooses, and the bytes of
/// the matrix.
///
/// # Errors
/// What the device says.
pub fn product_s(
    device: &mut Device,
    (format, tuning): (Format, &Tuning),
    shape: [u32; 2],
) -> Result<(Measured, u64), Error> {
    const ROUND: Budget = Budget { warmup: 0, min_reps: 10, max_reps: 20, budget_s: 1.0 };
    let mut timer = Timer::new(device)?;
    let (work, buffers) = split(&mut timer, (format, tuning), shape)?;
    let unit = timer.unit(&work)?.with_buffers(&buffers);
    let measured = blocks(&mut timer, &[unit], Clock::SubmitToComplete, &ROUND)?;
    Ok((typical(&measured.seconds[0]).ok_or(Error::NoBlocks)?, work.cost().weights))
}

/// One product of a matrix of `[rows, cols]` with a vector, in as few launches as bindings allow.
fn split(
    timer: &mut Timer<'_>,
    (format, tuning): (Format, &Tuning),
    [rows, cols]: [u32; 2],
) -> Result<(Recording, Vec<Buffer>), Error> {
    let stride = stride(format, cols as usize);
    let caps = timer.device.caps().clone();
    let (layout, row) = (layout_for(&caps), u64::from(stride) * 16);
    let most = caps.largest(layout.in_texture()) / row / layout.rows_interleaved() as u64
        * layout.rows_interleaved() as u64;
    let parts = u64::from(rows).div_ceil(most.max(1));
    let most_rows = rows.div_ceil(u32::try_from(parts).unwrap_or(rows));
    let device = &mut *timer.device;
    let x = device.alloc(4 * u64::from(cols), Role::Activation, "x")?;
    let y = device.alloc(4 * u64::from(rows), Role::Activation, "y")?;
    fill(device, &x)?;
    let mut buffers = vec![x.clone(), y.clone()];
    let kernel = tuning.linear_for(format, 1, rows, &caps);
    let mut recording = Recording::new();
    for row0 in (0..rows).step_by(most_rows as usize) {
        let n_rows = most_rows.min(rows - row0);
        let bytes = layout.bytes(u64::from(n_rows), stride);
        let weights = device.alloc_in(layout.in_texture(), bytes, Role::Weights, "weights")?;
        fill(device, &weights)?;
        let params =
            mat_vec::Params { n_rows, n_cols: cols, n_vecs: 1, stride, ld: rows, row0, epilogue: STORE };
        let args = mat_vec::Args { weights: weights.all(), x: x.all(), y: y.all() };
        kernel.record(&mut recording, params, args);
        buffers.push(weights);
    }
    Ok((recording, buffers))
}

#[cfg(test)]
mod tests {
    use super::{STUDY_BITS_PER_WEIGHT, bits, studied};
    use ridgeline_quant::Format;

    #[test]
    fn no_format_is_nearer_to_the_studied_one() {
        let formats = studied();
        assert_eq!((formats.len(), formats[0], bits(Format::SINGLE)), (2, Format::SINGLE, 32.0));
        let nearest = (bits(formats[1]) - STUDY_BITS_PER_WEIGHT).abs();
        assert!(Format::ALL.iter().all(|f| (bits(*f) - STUDY_BITS_PER_WEIGHT).abs() >= nearest));
    }
}
