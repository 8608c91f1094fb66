//! Bandwidth of weight uploads.

use super::{REPETITIONS, TargetResult};
use ridgeline_compute::{Buffer, Executor, FillFn, Role};
use ridgeline_experiment::stats;
use ridgeline_experiment::verdict::Range;
use ridgeline_kernels::{WeightLayout, layout_for};
use ridgeline_measure::MeasureContext;
use ridgeline_measure::timing::timed;
use ridgeline_measure::{Device, Error, probe};
use ridgeline_quant::Format;
use ridgeline_roofline::{Machine, Measured};

/// Bytes uploaded.
const BYTES: u64 = 256 << 20;

/// Columns of the uploaded matrices.
const COLUMNS: usize = 4096;

/// Weight buffers on the device, each of `rows` rows.
struct Space {
    buffers: Vec<Buffer>,
    layout: WeightLayout,
    rows: usize,
    /// Bytes of a row on the device.
    row: u64,
}

/// Upload bandwidth, relative to the copy bandwidth of the device.
///
/// Both count reads and writes, so that every uploaded byte counts twice.
pub(crate) fn upload(cx: &MeasureContext, machine: &Machine) -> Result<Vec<TargetResult>, Error> {
    let space = Space::new(&mut cx.device.borrow_mut())?;
    let bytes = space.bytes();
    let copy = machine.bandwidth.copy.at(2 * bytes).value;
    let finding = |what: &str, target, seconds: Measured| {
        let rate = |seconds: f64| 2.0 * bytes as f64 / seconds;
        TargetResult {
            what: format!(
                "upload of {} MiB{what}: share of the copy bandwidth, reads and writes",
                bytes >> 20
            ),
            target,
            here: Measured {
                value: rate(seconds.value) / copy,
                lo: rate(seconds.hi) / copy,
                hi: rate(seconds.lo) / copy,
            },
            detail: format!("{:.2} GB/s of {:.2} GB/s", rate(seconds.value) / 1e9, copy / 1e9),
        }
    };
    let plain = space.plain(cx)?;
    let packed = space.packed(cx)?;
    let format = Format::INT8_ACTIVATIONS;
    Ok(vec![
        finding("", Some(Range::AtLeast(0.5)), plain),
        finding(&format!(", repacked from {format}"), None, packed),
    ])
}

impl Space {
    fn new(device: &mut Device) -> Result<Self, Error> {
        let layout = layout_for(device.caps());
        let row = Format::INT8_ACTIVATIONS.device_bytes(1, COLUMNS);
        let count = BYTES.div_ceil(device.caps().largest(layout.in_texture()));
        // A multiple of 16 rows: whole groups of interleaved rows, as in a model's matrices.
        let rows = usize::try_from(BYTES / count / row).unwrap_or(usize::MAX) / 16 * 16;
        let mut alloc =
            |_| device.alloc_in(layout.in_texture(), rows as u64 * row, Role::Weights, "uploaded weights");
        let buffers = (0..count).map(&mut alloc).collect::<Result<_, _>>()?;
        Ok(Self { buffers, layout, rows, row })
    }

    fn bytes(&self) -> u64 {
        self.buffers.iter().map(|it| it.all().bytes).sum()
    }

    /// Uploads words that are already in the device layout.
    fn plain(&self, cx: &MeasureContext) -> Result<Measured, Error> {
        let words: Vec<u32> = (0..index(self.rows as u64 * self.row / 4)).map(pattern).collect();
        self.time(cx, &|offset, to| {
            let first = index(offset / 4);
            to.copy_from_slice(&words[first..first + to.len()]);
        })
    }

    /// Uploads rows in the file's layout, repacked on the way.
    fn packed(&self, cx: &MeasureContext) -> Result<Measured, Error> {
        let spec = Format::INT8_ACTIVATIONS.spec();
        let file_row = index(Format::INT8_ACTIVATIONS.bytes(COLUMNS as u64));
        let words: Vec<u32> = (0..self.rows * file_row / 4).map(pattern).collect();
        let file: &[u8] = bytemuck::cast_slice(&words);
        let (rows_interleaved, row_words) = (self.layout.rows_interleaved(), index(self.row / 4));
        self.time(cx, &|offset, to| {
            let from = &file[index(offset / self.row) * file_row..];
            let mut rows = vec![0; rows_interleaved * row_words];
            for (from, to) in from
                .chunks_exact(rows_interleaved * file_row)
                .zip(to.chunks_exact_mut(rows_interleaved * row_words))
            {
                for (from, row) in from.chunks_exact(file_row).zip(rows.chunks_exact_mut(row_words)) {
                    (spec.pack_row)(from, row);
                }
                self.layout.store_rows(&rows, row_words, to);
            }
        })
    }

    /// Seconds to fill the buffers, until the device is idle.
    ///
    /// The first run is not counted, because the system may still have to allocate the memory.
    fn time(&self, cx: &MeasureContext, source: &FillFn<'_>) -> Result<Measured, Error> {
        let mut device = cx.device.borrow_mut();
        let mut seconds = Vec::new();
        for _ in 0..=REPETITIONS {
            let (filled, ns) = timed(|| -> Result<(), Error> {
                for buffer in &self.buffers {
                    device.fill(buffer.all(), self.row * self.layout.rows_interleaved() as u64, source)?;
                }
                Ok(device.gpu().map_or(Ok(()), |gpu| gpu.wait_idle())?)
            });
            filled?;
            seconds.push(ns as f64 / 1e9);
        }
        Ok(stats::median_interval(&seconds[1..]).ok_or(probe::Error::NoBlocks)?)
    }
}

/// Distinct words, by Fibonacci hashing.
fn pattern(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(u32::MAX).wrapping_mul(0x9E37_79B9)
}

/// Converts to `usize`; sizes here are below 2^32.
fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
