//! From checkpoint to device: packs rows into the device layout of their format, one staging chunk at a time.

use crate::matrix::{Matrix, Piece, Vector};
use crate::{Config, Error};
use ridgeline_compute::{Executor, Role};
use ridgeline_weights::Checkpoint;
use std::collections::HashSet;

/// Upper bound of the staging chunk: the only copy of weights that loading holds besides the mapped file.
const STAGING_BYTES: usize = 16 << 20;

/// What loading did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters.
    pub params: u64,
    /// Bytes in the checkpoint's formats.
    pub format_bytes: u64,
    /// Bytes allocated on the device, padding included.
    pub device_bytes: u64,
}

/// Loads tensors of one checkpoint onto one device.
pub struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    executor: &'a mut dyn Executor,
    report: LoadReport,
    staging: Vec<u32>,
    used: HashSet<String>,
}

impl std::fmt::Debug for Loader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("checkpoint", &self.checkpoint.path())
            .field("report", &self.report)
            .finish()
    }
}

impl<'a> Loader<'a> {
    /// A loader from `checkpoint` to `executor`.
    pub fn new(checkpoint: &'a Checkpoint, executor: &'a mut dyn Executor) -> Self {
        Self {
            checkpoint,
            executor,
            report: LoadReport::default(),
            staging: Vec::new(),
            used: HashSet::new(),
        }
    }

    /// The checkpoint.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint
    }

    /// Whether the checkpoint has such a tensor.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.has(name)
    }

    /// Loads the matrix `name`, \[rows, cols\].
    ///
    /// # Errors
    /// A missing tensor, another shape, columns that are no multiple of the format's part, a device too small.
    pub fn matrix(&mut self, name: &str, rows: usize, cols: usize) -> Result<Matrix, Error> {
        let tensor = self.checkpoint.expect(name, &[rows, cols])?;
        self.used.insert(name.to_owned());
        let (format, spec) = (tensor.format, tensor.format.spec());
        if !cols.is_multiple_of(spec.part.max(spec.block_len)) {
            let (path, value) =
                (self.checkpoint.path().to_owned(), format!("{cols} ({name}, {})", spec.name));
            let rule = "it must be a multiple of the number format's block";
            return Err(Error::Dimension { path, what: "number of columns", value, rule });
        }
        let row_words = (spec.row_words)(cols);
        let row_bytes = row_words as u64 * 4;
        let limit = self.executor.caps().max_binding.min(self.executor.caps().max_buffer);
        // Whole multiples of 16 rows keep every staging write 256-aligned.
        let most = usize::try_from(limit / row_bytes).unwrap_or(usize::MAX) / 16 * 16;
        if most == 0 {
            let (label, bytes) = (name.to_owned(), 16 * row_bytes);
            return Err(ridgeline_compute::Error::Limit {
                label,
                bytes,
                limit,
                what: "16 rows in one binding",
            }
            .into());
        }
        let file_row = tensor.bytes.len() / rows;
        let mut pieces = Vec::new();
        for row0 in (0..rows).step_by(most) {
            let n = most.min(rows - row0);
            let buffer = self.executor.alloc(n as u64 * row_bytes, Role::Weights, name)?;
            let bytes = &tensor.bytes[row0 * file_row..][..n * file_row];
            self.upload(&buffer, bytes, file_row, row_words, spec.pack_row)?;
            pieces.push(Piece { buffer, row0: index(row0), rows: index(n) });
        }
        self.count(rows as u64 * cols as u64, tensor.bytes.len() as u64, rows as u64 * row_bytes);
        Ok(Matrix { pieces, format, rows: index(rows), cols: index(cols), stride: index(row_words / 4) })
    }

    fn upload(
        &mut self,
        buffer: &ridgeline_compute::Buffer,
        bytes: &[u8],
        file_row: usize,
        row_words: usize,
        pack: fn(&[u8], &mut [u32]),
    ) -> Result<(), Error> {
        let rows = (STAGING_BYTES / (row_words * 4) / 16 * 16).max(16);
        for (i, chunk) in bytes.chunks(rows * file_row).enumerate() {
            self.staging.clear();
            self.staging.resize(chunk.len() / file_row * row_words, 0);
            for (from, to) in chunk.chunks_exact(file_row).zip(self.staging.chunks_exact_mut(row_words)) {
                pack(from, to);
            }
            let data: &[u8] = bytemuck::cast_slice(&self.staging);
            let at = buffer.slice((i * rows * row_words * 4) as u64, data.len() as u64);
            self.executor.write(at, data)?;
        }
        Ok(())
    }

    /// Loads the vector `name` of length `len`, converted to f32.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn vector(&mut self, name: &str, len: usize) -> Result<Vector, Error> {
        let tensor = self.checkpoint.expect(name, &[len])?;
        self.used.insert(name.to_owned());
        let mut values = vec![0.0_f32; len];
        (tensor.format.spec().decode)(&tensor.bytes, &mut values);
        let buffer = self.executor.alloc(4 * len as u64, Role::Weights, name)?;
        self.executor.write(buffer.all(), bytemuck::cast_slice(&values))?;
        self.count(len as u64, tensor.bytes.len() as u64, 4 * len as u64);
        Ok(Vector { buffer, len: index(len) })
    }

    const fn count(&mut self, params: u64, format_bytes: u64, device_bytes: u64) {
        self.report.params += params;
        self.report.format_bytes += format_bytes;
        self.report.device_bytes += device_bytes;
    }

    /// Loads what every decoder has outside its layers: embedding, final norm, head (`None` where it is tied).
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub(crate) fn ends(&mut self, config: &Config) -> Result<(Matrix, Vector, Option<Matrix>), Error> {
        let embed = self.matrix("token_embd.weight", config.vocab, config.hidden)?;
        let norm = self.vector("output_norm.weight", config.hidden)?;
        let untied = self.has("output.weight");
        let head =
            if untied { Some(self.matrix("output.weight", config.vocab, config.hidden)?) } else { None };
        Ok((embed, norm, head))
    }
}

impl Loader<'_> {
    /// Makes sure that nothing of the checkpoint was left out: a bias that a family ignores gives wrong answers.
    ///
    /// # Errors
    /// [`Error::UnusedTensor`] names the first.
    pub(crate) fn finish(self, config: &Config) -> Result<LoadReport, Error> {
        let elsewhere = |name: &str| name == ROPE_FACTORS || self.used.contains(name);
        match self.checkpoint.tensors().find(|tensor| !elsewhere(tensor.name)) {
            None => Ok(self.report),
            Some(tensor) => Err(Error::UnusedTensor {
                path: self.checkpoint.path().to_owned(),
                name: tensor.name.to_owned(),
                architecture: config.architecture.clone(),
            }),
        }
    }
}

/// Read through [`Checkpoint::rope_freq_factors`].
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Dimensions were checked against the checkpoint's tensors, whose sizes fit 32 bits per axis.
fn index(n: usize) -> u32 {
    u32::try_from(n).expect("a tensor axis fits 32 bits")
}
