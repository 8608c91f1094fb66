//! Arithmetic ceilings: the best FLOP/s of any shipped matmul or attention kernel, at 32 and at 16 bits.
//!
//! ```text
//! for each shape, smallest first:  calibrate every variant; drop variants far behind their kernel's best
//! keep the FINALISTS fastest (variant, shape) pairs
//! in every block: time all finalists, take the best rate; the ceiling is the median over blocks
//! ```
//!
//! This is an empirical roofline (Lo et al. 2014, "Roofline Model Toolkit"). A kernel cannot exceed a ceiling that the
//! fastest kernels define.

use super::blocks::{blocks, ceiling};
use super::stream::fill;
use super::{Clock, Error, Timer, Unit, attention};
use crate::timing::Stopwatch;
use ridgeline_compute::{AnyKernel, Buffer, Caps, Executor, Kernel, Recording, Role};
use ridgeline_experiment::matrix::Budget;
use ridgeline_kernels::mat_mul::{MatMul, Tile};
use ridgeline_kernels::mat_mul_coop::MatMulCoop;
use ridgeline_kernels::mat_vec::{self, MatVec};
use ridgeline_kernels::mat_vec_rows::MatVecRows;
use ridgeline_kernels::{Epilogue, LinearKernel, Reduce, WeightLayout, layout_for, stride};
use ridgeline_quant::Format;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Every matmul stores its sums without an activation function.
const STORE: u32 = Epilogue::Store as u32;

/// Rows, columns and batch sizes of the matmuls, by rising work: shapes of small models, then squares for large devices.
/// Wide matrices are among them because long sums have the least overhead.
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

/// Small batch size at which kernels without tiles are tried, besides the batch size of the tiled kernels.
const SMALL: u32 = 16;

/// Longest run in seconds; larger shapes are skipped.
const LONGEST_S: f64 = 0.15;

/// A variant below this fraction of its kernel's best rate at one shape is dropped from later shapes.
const MIN_RELATIVE_RATE: f64 = 0.6;

/// Candidates that are measured in blocks: the fastest of the calibration.
const FINALISTS: usize = 3;

/// A rate, and the kernel that reached it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// In FLOP/s, with a 95 % interval.
    pub rate: Measured,
    /// Kernel variant and shape.
    pub variant: String,
    /// The rate of each block in FLOP/s.
    pub blocks: Vec<f64>,
}

/// Arithmetic ceilings in FLOP/s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// At 32 bits, by matmuls or attention.
    pub f32: Rate,
    /// By matmuls of 16-bit operands; `None` where the device has no 16-bit shaders.
    pub f16: Option<Rate>,
    /// Time of the first quarter of the blocks over time of the rest; `None` below eight blocks.
    pub drift: Option<f64>,
}

/// A candidate, ready to be timed.
struct Finalist {
    unit: Unit,
    label: String,
    flops_per_s: f64,
}

/// Measures the arithmetic ceilings. Also returns the wall time of each block in nanoseconds.
///
/// # Errors
/// [`Error::Run`] where the device fails, [`Error::NoBlocks`] where the budget allows fewer than two blocks.
pub fn peaks(timer: &mut Timer<'_>, budget: &Budget) -> Result<(Peaks, Vec<u64>), Error> {
    let caps = timer.device.caps().clone();
    // Calibration gets a whole budget: compilation takes most of it, and a skipped shape may be the fastest.
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

/// The ceiling over finalists: the best of them in every block.
fn peak(finalists: &[Finalist], seconds: &[Vec<f64>]) -> Option<Rate> {
    let rate = |i: usize, block: usize| finalists[i].unit.flops() / seconds[i][block];
    let best = |block: usize| (0..finalists.len()).map(|i| rate(i, block)).fold(0.0, f64::max);
    let blocks: Vec<f64> = (0..seconds.first()?.len()).map(best).collect();
    let variant = finalists.iter().map(|f| f.label.as_str()).collect::<Vec<_>>().join("; ");
    Some(Rate { rate: ceiling(&blocks)?, variant, blocks })
}

/// The fastest (variant, shape) pairs of a precision, by calibration alone. Stops at the first shape that takes too long.
fn finalists(timer: &mut Timer<'_>, caps: &Caps, tile: Tile, budget_s: f64) -> Result<Vec<Finalist>, Error> {
    let start = Stopwatch::start();
    let mut tried: Vec<Finalist> = Vec::new();
    let mut dropped: HashSet<String> = HashSet::new();
    for (rows, cols, vecs) in SHAPES {
        let best = tried.first().map_or(1e9, |f| f.flops_per_s);
        let flops = 2.0 * f64::from(rows) * f64::from(cols) * f64::from(vecs);
        if flops / best > LONGEST_S || (!tried.is_empty() && start.seconds() > budget_s) {
            break;
        }
        let operands = Operands::new(timer, (rows, cols, vecs))?;
        let mut here = Vec::new();
        for (kernel, size, work) in works(&operands, caps, tile, (rows, cols, vecs)) {
            if dropped.contains(&kernel) {
                continue;
            }
            let unit = timer.unit(&work)?.with_buffers(&operands.all());
            let flops_per_s = unit.flops() / unit.estimate_s;
            let label = format!("{kernel} at {size}");
            here.push((kernel, flops_per_s));
            tried.push(Finalist { unit, label, flops_per_s });
        }
        // The best kernel depends on the shape, so a variant competes with variants of its own kernel alone.
        let kind = |kernel: &str| kernel.split(' ').next().unwrap_or_default().to_owned();
        let best =
            |of: &dyn Fn(&str) -> bool| here.iter().filter(|it| of(&it.0)).map(|it| it.1).fold(0.0, f64::max);
        for (kernel, _) in &here {
            if best(&|it| it == kernel) < MIN_RELATIVE_RATE * best(&|it| kind(it) == kind(kernel)) {
                dropped.insert(kernel.clone());
            }
        }
        keep_fastest(&mut tried);
    }
    // Attention computes at 32 bits, whatever the type of the cache.
    if tile == Tile::F32 {
        for (label, work, buffers) in attention::works(timer)? {
            let unit = timer.unit(&work)?.with_buffers(&buffers);
            let flops_per_s = unit.flops() / unit.estimate_s;
            tried.push(Finalist { unit, label, flops_per_s });
        }
        keep_fastest(&mut tried);
    }
    Ok(tried)
}

/// Keeps the [`FINALISTS`] fastest.
fn keep_fastest(tried: &mut Vec<Finalist>) {
    tried.sort_by(|a, b| b.flops_per_s.total_cmp(&a.flops_per_s));
    tried.truncate(FINALISTS);
}

/// Buffers for x, y and W. W exists in each layout that a kernel needs and is large enough for every type.
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
        let vecs = vecs.max(SMALL);
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

/// Every matmul variant of a precision at one shape: kernel, size, launch.
fn works(
    operands: &Operands,
    caps: &Caps,
    tile: Tile,
    (n_rows, n_cols, n_vecs): (u32, u32, u32),
) -> Vec<(String, String, Recording)> {
    let (x, y) = (operands.x.all(), operands.y.all());
    let mut works = Vec::new();
    // Unquantized weights suffice: dequantization only adds work, and more candidates leave fewer shapes.
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
    // Kernels without tiles compute at 32 bits.
    if tile == Tile::F32 {
        let wide = |k: &MatVec| plain(k.format) && k.vecs >= 4 && k.reduce == Reduce::all(caps)[0];
        let vecs = MatVec::all(caps).into_iter().filter(wide).map(LinearKernel::Vec);
        let wide = |k: &MatVecRows| plain(k.format) && k.vecs >= 4;
        let rows = MatVecRows::all(caps).into_iter().filter(wide).map(LinearKernel::Rows);
        for choice in vecs.chain(rows) {
            for n_vecs in [SMALL, n_vecs.min(128)] {
                work(choice, n_vecs);
            }
        }
    }
    works
}
