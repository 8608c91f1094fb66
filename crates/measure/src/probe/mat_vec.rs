//! Bandwidth of matrix-vector products (GEMV, batch size 1): at the shape of a published study, and at any shape.
//!
//! A mat-vec reads every weight once, so its rate is bytes of the matrix over seconds.

use super::blocks::{Blocks, blocks, ceiling, typical};
use super::product::{Product, ProductPath};
use super::{Clock, Error, Timer};
use crate::Device;
use ridgeline_compute::{Buffer, Recording};
use ridgeline_experiment::matrix::Budget;
use ridgeline_kernels::Tuning;
use ridgeline_quant::Format;
use ridgeline_roofline::Measured;
use serde::{Deserialize, Serialize};

/// Rows and columns of the bandwidth study's matrix.
const SIDE: u32 = 8192;

/// Bandwidth of one mat-vec in bytes/s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatVecRate {
    /// Quantization type of the matrix.
    pub format: String,
    /// Bytes of the matrix.
    pub bytes: u64,
    /// Back to back within a submission, in bytes/s.
    pub streamed: Measured,
    /// One submission and one wait per mat-vec, as the study timed it, in bytes/s.
    pub synchronised: Measured,
    /// The streamed rate of each block in bytes/s.
    pub blocks: Vec<f64>,
    /// The synchronised rate of each mat-vec in bytes/s.
    pub synchronised_blocks: Vec<f64>,
}

/// Mat-vecs at 8192 × 8192 in several quantization types.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatVecs {
    /// One per quantization type.
    pub products: Vec<MatVecRate>,
}

/// Bits per weight of the bandwidth study's quantized matrix: 4, plus a 16-bit scale and bias per 64 weights.
pub const STUDY_BITS_PER_WEIGHT: f64 = 4.5;

/// Bits per weight of a quantization type in a file.
fn bits(format: Format) -> f64 {
    let spec = format.spec();
    spec.block_bytes as f64 * 8.0 / spec.block_len as f64
}

/// F32, and the type whose bits per weight are nearest to the study's quantized matrix.
fn studied() -> Vec<Format> {
    let others = Format::ALL.iter().copied().filter(|f| *f != Format::SINGLE);
    let far = |f: &Format| (bits(*f) - STUDY_BITS_PER_WEIGHT).abs();
    let nearest = others.min_by(|a, b| far(a).total_cmp(&far(b)));
    [Format::SINGLE].into_iter().chain(nearest).collect()
}

/// Measures mat-vecs at 8192 × 8192 in F32 and in the type nearest to the study's quantized one.
///
/// Also returns the wall time of each block in nanoseconds.
///
/// # Errors
/// [`Error::Run`] where the device fails, [`Error::NoBlocks`] where the budget allows fewer than two blocks.
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

/// Seconds of one mat-vec with a matrix of `[rows, cols]`, and bytes of the matrix. `tuning` chooses the kernel.
///
/// # Errors
/// [`Error::NoClock`] on the CPU executor, [`Error::Run`] where the device fails.
pub fn mat_vec_s(
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

/// One mat-vec with a matrix of `[rows, cols]`, split by rows into as few launches as the largest binding allows.
fn split(
    timer: &mut Timer<'_>,
    (format, tuning): (Format, &Tuning),
    [rows, cols]: [u32; 2],
) -> Result<(Recording, Vec<Buffer>), Error> {
    let product = Product { format, rows, cols, vectors: 1, path: ProductPath::Fused };
    product.record(timer.device, tuning)
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
