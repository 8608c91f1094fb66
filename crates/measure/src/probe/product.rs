//! One linear layer at any shape: multiplied from its quantized weights, or dequantized first.

use super::blocks::{Blocks, blocks};
use super::stream::fill;
use super::{Clock, Error, Timer};
use crate::Device;
use ridgeline_compute::{Buffer, Executor, Recording, Role, Slice};
use ridgeline_experiment::matrix::Budget;
use ridgeline_kernels::dequantize::{self, Dequantize, Output};
use ridgeline_kernels::{Epilogue, Tuning, WeightLayout, layout_for, mat_vec, stride};
use ridgeline_quant::Format;
use serde::{Deserialize, Serialize};

/// How quantized weights are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductPath {
    /// One kernel unpacks the weights and multiplies.
    Fused,
    /// One launch writes the weights as F16, a second multiplies them.
    Dequantized,
}

/// `y[v, r] = Σ_c W[r, c] · x[v, c]` with quantized weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Product {
    /// Quantization type of the matrix.
    pub format: Format,
    /// Rows of the matrix.
    pub rows: u32,
    /// Columns of the matrix.
    pub cols: u32,
    /// Vectors to multiply: the batch size.
    pub vectors: u32,
    /// How the weights are multiplied.
    pub path: ProductPath,
}

/// Times and counted work of one product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductTime {
    /// Seconds of one product in each block, by slope: without submission and wait.
    pub blocks: Vec<f64>,
    /// Seconds of one product with a submission and a wait of its own.
    pub synchronised: Vec<f64>,
    /// Bytes of the quantized weights.
    pub weight_bytes: u64,
    /// Floating-point operations of the multiplication.
    pub flops: u64,
}

/// Runs with a submission and a wait each.
const SYNCHRONISED: usize = 9;

/// Times one product within a budget.
///
/// # Errors
/// [`Error::NoClock`] on the CPU executor, [`Error::Run`] where the device fails, [`Error::NoBlocks`] where the budget
/// allows fewer than two blocks.
pub fn product(
    device: &mut Device,
    product: Product,
    tuning: &Tuning,
    budget: &Budget,
) -> Result<ProductTime, Error> {
    let mut timer = Timer::new(device)?;
    let (work, buffers) = product.record(timer.device, tuning)?;
    let unit = timer.unit(&work)?.with_buffers(&buffers);
    let Blocks { seconds, .. } = blocks(&mut timer, &[unit], Clock::SubmitToComplete, budget)?;
    let mut synchronised = Vec::new();
    for _ in 0..SYNCHRONISED {
        synchronised.push(timer.run(&work, Clock::WithEncoding)?);
    }
    let Product { format, rows, cols, vectors, .. } = product;
    let weight_bytes = u64::from(rows) * 16 * u64::from(stride(format, cols as usize));
    let flops = 2 * u64::from(rows) * u64::from(cols) * u64::from(vectors);
    Ok(ProductTime { blocks: seconds.concat(), synchronised, weight_bytes, flops })
}

impl Product {
    /// Its launches, split by rows so that every binding fits the device, and the buffers that they use.
    pub(super) fn record(
        self,
        device: &mut Device,
        tuning: &Tuning,
    ) -> Result<(Recording, Vec<Buffer>), Error> {
        let Self { rows, cols, vectors, .. } = self;
        let most_rows = self.rows_per_launch(device);
        let x = device.alloc(4 * u64::from(cols) * u64::from(vectors), Role::Activation, "x")?;
        let y = device.alloc(4 * u64::from(rows) * u64::from(vectors), Role::Activation, "y")?;
        fill(device, &x)?;
        let mut buffers = vec![x, y];
        let mut recording = Recording::new();
        for row0 in (0..rows).step_by(most_rows as usize) {
            let part = (row0, most_rows.min(rows - row0));
            let own = self.record_rows(
                device,
                tuning,
                (&mut recording, [buffers[0].all(), buffers[1].all()]),
                part,
            )?;
            buffers.extend(own);
        }
        Ok((recording, buffers))
    }

    /// Rows of each launch: equal sizes, so that none is much shorter than the others.
    fn rows_per_launch(self, device: &Device) -> u32 {
        let (layout, caps) = (layout_for(device.caps()), device.caps());
        let row = self
            .stored()
            .into_iter()
            .map(|it| 16 * u64::from(stride(it, self.cols as usize)))
            .max()
            .unwrap_or(16);
        let interleaved = layout.rows_interleaved() as u64;
        let most = caps.largest(layout.in_texture()) / row / interleaved * interleaved;
        let launches = u64::from(self.rows).div_ceil(most.max(1));
        self.rows.div_ceil(u32::try_from(launches).unwrap_or(self.rows))
    }

    /// The types in which the matrix lies in memory.
    fn stored(self) -> Vec<Format> {
        match self.path {
            ProductPath::Fused => vec![self.format],
            ProductPath::Dequantized => vec![self.format, Output::F16.format()],
        }
    }

    /// Records the product of some rows; returns the buffers of their weights.
    fn record_rows(
        self,
        device: &mut Device,
        tuning: &Tuning,
        (recording, [x, y]): (&mut Recording, [Slice; 2]),
        (row0, n_rows): (u32, u32),
    ) -> Result<Vec<Buffer>, Error> {
        let Self { format, rows, cols, vectors, path } = self;
        let layout = layout_for(device.caps());
        let weights = matrix(device, layout, (format, n_rows, cols))?;
        fill(device, &weights)?;
        let mut buffers = vec![weights];
        let mut multiplied = format;
        if path == ProductPath::Dequantized {
            multiplied = Output::F16.format();
            let values = matrix(device, layout, (multiplied, n_rows, cols))?;
            let params = dequantize::Params { n_rows, n_cols: cols, stride: stride(format, cols as usize) };
            let args = dequantize::Args { weights: buffers[0].all(), values: values.all() };
            recording.run(Dequantize::new(format, Output::F16, layout), params, args);
            buffers.push(values);
        }
        let caps = device.caps().clone();
        let params = mat_vec::Params {
            n_rows,
            n_cols: cols,
            n_vecs: vectors,
            stride: stride(multiplied, cols as usize),
            ld: rows,
            row0,
            epilogue: Epilogue::Store as u32,
        };
        let weights = buffers[buffers.len() - 1].all();
        let kernel = tuning.linear_for(multiplied, vectors, rows, &caps);
        kernel.record(recording, params, mat_vec::Args { weights, x, y });
        Ok(buffers)
    }
}

/// A buffer for a matrix of `(format, rows, columns)`.
fn matrix(
    device: &mut Device,
    layout: WeightLayout,
    (format, rows, cols): (Format, u32, u32),
) -> Result<Buffer, Error> {
    let bytes = layout.bytes(u64::from(rows), stride(format, cols as usize));
    Ok(device.alloc_in(layout.in_texture(), bytes, Role::Weights, "weights")?)
}
