//! Loading weights: packs the rows of a checkpoint into the device layout of their quantization type.

mod images;

use crate::config::dim32;
use crate::keys::Keys;
use crate::layers::{Heads, Norm, NormKind};
use crate::matrix::{FusedLinear, RowChunk, Vector, WeightMatrix};
use crate::reserved::Reserved;
use crate::rope::RopeConfig;
use crate::rows::{Rows, Source};
use crate::scratch::Temp;
use crate::{Config, Error};
use ridgeline_compute::{Buffer, Executor, Role, Slice};
use ridgeline_kernels::argmax::MAX_ARGMAX_SPLITS;
use ridgeline_kernels::{WeightLayout, layout_for, stride};
use ridgeline_quant::Format;
use ridgeline_weights::Checkpoint;
use std::collections::HashSet;
use std::ops::Range;

/// Binding offsets at multiples of this are valid on every device.
const OFFSET_ALIGNMENT: u64 = 256;

/// Totals of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters.
    pub params: u64,
    /// Bytes in the checkpoint.
    pub format_bytes: u64,
    /// Bytes on the device. Rows are padded to whole vec4 words and to whole groups of interleaved rows.
    pub device_bytes: u64,
}

/// Loads tensors of one checkpoint onto one device.
pub struct Loader<'a> {
    keys: Keys<'a>,
    checkpoint: &'a Checkpoint,
    executor: &'a mut dyn Executor,
    layout: WeightLayout,
    report: LoadReport,
    reserved: Reserved,
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
    /// A loader from the checkpoint of `keys` to `executor`.
    pub fn new(keys: Keys<'a>, executor: &'a mut dyn Executor) -> Self {
        Self {
            keys,
            checkpoint: keys.checkpoint(),
            layout: layout_for(executor.caps()),
            executor,
            report: LoadReport::default(),
            reserved: Reserved::default(),
            used: HashSet::new(),
        }
    }

    /// The hyperparameters.
    #[must_use]
    pub const fn keys(&self) -> Keys<'a> {
        self.keys
    }

    /// Index of a rotation that a layer uses. Sessions have a table for each distinct one.
    pub fn rope(&mut self, rope: RopeConfig) -> usize {
        self.reserved.rope(rope)
    }

    /// Declares the attention shape of a layer.
    pub fn attends(&mut self, heads: Heads) {
        self.reserved.heads(heads);
    }

    /// Reserves `width` values per row of a temporary that a layer writes.
    pub fn reserve(&mut self, temp: Temp, width: u32) {
        self.reserved.widen(temp, width);
    }

    /// Whether the checkpoint has the tensor `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.has(name)
    }

    /// Loads the matrix `name`, \[rows, cols\].
    ///
    /// # Errors
    /// A missing tensor, another shape, columns that are not whole blocks, or a device too small.
    pub fn matrix(&mut self, name: &str, rows: usize, cols: usize) -> Result<WeightMatrix, Error> {
        self.rows(Rows::all(name, rows), cols)
    }

    /// Loads rows of a tensor of `cols` columns. Experts stay whole in a binding.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn rows(&mut self, rows: Rows<'_>, cols: usize) -> Result<WeightMatrix, Error> {
        let source = self.source(rows, cols)?;
        self.place(&source, rows.name, rows.unit())
    }

    /// Uploads packed rows. `unit` rows stay in one binding.
    fn place(&mut self, source: &Source<'_>, name: &str, unit: usize) -> Result<WeightMatrix, Error> {
        let (rows, limit) = (source.rows, self.binding_limit());
        // Rows are padded to whole groups of interleaved ones, which divide 16.
        let most = usize::try_from(limit / source.row_bytes()).unwrap_or(usize::MAX) / 16 * 16 / unit * unit;
        if most == 0 {
            let (label, bytes) = (name.to_owned(), unit as u64 * source.row_bytes());
            let what = "16 rows of the tensor, or an expert, in one binding";
            return Err(ridgeline_compute::Error::Limit { label, bytes, limit, what }.into());
        }
        let mut chunks = Vec::new();
        for row0 in (0..rows).step_by(most) {
            let n = most.min(rows - row0);
            let buffer = self.alloc(source.padded_rows(n) as u64 * source.row_bytes(), name)?;
            let slice = buffer.all();
            self.upload(slice, source, row0..row0 + n)?;
            chunks.push(RowChunk { buffer, slice, row0: dim32(row0), rows: dim32(n) });
        }
        Ok(source.matrix(chunks))
    }

    /// Refuses a matrix whose kernel reads all of it in one binding, where it was split.
    ///
    /// # Errors
    /// [`Limit`](ridgeline_compute::Error::Limit) with size and limit.
    pub(crate) fn check_one_binding(&self, matrix: &WeightMatrix, label: &str) -> Result<(), Error> {
        if matrix.chunks.len() == 1 {
            return Ok(());
        }
        let bytes = u64::from(matrix.rows) * u64::from(matrix.stride) * 16;
        let (label, limit, what) = (label.to_owned(), self.binding_limit(), "a matrix in one binding");
        Err(ridgeline_compute::Error::Limit { label, bytes, limit, what }.into())
    }

    /// Loads matrices of `cols` columns that share their input: (name, rows), from top to bottom.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn fused_linear(&mut self, tensors: &[(&str, usize)], cols: usize) -> Result<FusedLinear, Error> {
        let rows: Vec<Rows<'_>> = tensors.iter().map(|&(name, rows)| Rows::all(name, rows)).collect();
        self.fused_rows(&rows, cols)
    }

    /// The same for rows of tensors of `cols` columns.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn fused_rows(&mut self, tensors: &[Rows<'_>], cols: usize) -> Result<FusedLinear, Error> {
        let mut fused = FusedLinear { merged: Vec::new(), parts: Vec::new(), rows: 0 };
        let mut rest = tensors;
        while let Some(first) = rest.first() {
            let format = self.checkpoint.format(first.name);
            let n_same_type = rest.iter().take_while(|it| self.checkpoint.format(it.name) == format).count();
            let (run, others) = rest.split_at(n_same_type);
            rest = others;
            let first = fused.rows;
            let whole = match format {
                Some(format) if self.can_fuse(run, format, cols) => Some(self.load_fused(run, format, cols)?),
                _ => None,
            };
            let parts = match &whole {
                Some(whole) => split(whole, run),
                None => run.iter().map(|rows| self.rows(*rows, cols)).collect::<Result<_, _>>()?,
            };
            for part in parts {
                fused.parts.push((fused.rows, part.clone()));
                if whole.is_none() {
                    fused.merged.push((fused.rows, part.clone()));
                }
                fused.rows += part.rows;
            }
            fused.merged.extend(whole.map(|whole| (first, whole)));
        }
        Ok(fused)
    }

    /// Whether one binding can hold these tensors without gaps, each at a valid binding offset.
    fn can_fuse(&self, run: &[Rows<'_>], format: Format, cols: usize) -> bool {
        let row_bytes = (format.spec().row_words)(cols) as u64 * 4;
        let (total, aligned) = run.iter().fold((0_u64, true), |(offset, aligned), rows| {
            let whole = rows.count().is_multiple_of(self.layout.rows_interleaved());
            let bytes = row_bytes.saturating_mul(rows.count() as u64);
            (offset.saturating_add(bytes), aligned && whole && offset.is_multiple_of(OFFSET_ALIGNMENT))
        });
        // A tensor of another shape is loaded alone, where its error names it.
        let shaped = |rows: &Rows<'_>| {
            self.checkpoint.tensors().any(|it| it.name == rows.name && it.shape == rows.shape(cols))
        };
        run.len() > 1 && run.iter().all(shaped) && total <= self.binding_limit() && aligned
    }

    /// Loads tensors of one quantization type into one buffer.
    fn load_fused(&mut self, run: &[Rows<'_>], format: Format, cols: usize) -> Result<WeightMatrix, Error> {
        let row_bytes = (format.spec().row_words)(cols) as u64 * 4;
        let total_rows: usize = run.iter().map(|it| it.count()).sum();
        let label: Vec<&str> = run.iter().map(|it| it.name).collect();
        let buffer = self.alloc(total_rows as u64 * row_bytes, &label.join(" + "))?;
        let mut offset = 0;
        for rows in run {
            let (source, rows) = (self.source(*rows, cols)?, rows.count());
            let slice = buffer.slice(offset, rows as u64 * row_bytes);
            self.upload(slice, &source, 0..rows)?;
            offset += slice.bytes;
        }
        let stride = dim32((format.spec().row_words)(cols) / 4);
        let chunks = vec![RowChunk { slice: buffer.all(), buffer, row0: 0, rows: dim32(total_rows) }];
        let (rows, cols) = (dim32(total_rows), dim32(cols));
        Ok(WeightMatrix { chunks, format, rows, cols, stride, layout: self.layout })
    }

    fn binding_limit(&self) -> u64 {
        self.executor.caps().largest(self.layout.in_texture())
    }

    fn alloc(&mut self, bytes: u64, label: &str) -> Result<Buffer, Error> {
        Ok(self.executor.alloc_in(self.layout.in_texture(), bytes, Role::Weights, label)?)
    }

    /// Finds rows of a tensor in the checkpoint and marks the tensor as used.
    fn source(&mut self, taken: Rows<'_>, cols: usize) -> Result<Source<'a>, Error> {
        let (name, rows) = (taken.name, taken.count());
        let tensor = self.checkpoint.expect(name, &taken.shape(cols))?;
        let (format, spec) = (tensor.format, tensor.format.spec());
        if !cols.is_multiple_of(spec.unpack_len.max(spec.block_len)) {
            let (path, value) =
                (self.checkpoint.path().to_owned(), format!("{cols} ({name}, {})", spec.name));
            let rule = "it must be a multiple of the quantization type's block length";
            return Err(Error::Dimension { path, what: "number of columns", value, rule });
        }
        let source = Source { format, layout: self.layout, rows, cols, bytes: taken.take(tensor.bytes) };
        self.used.insert(name.to_owned());
        self.reserve(Temp::Bytes, 4 * stride(Format::INT8_ACTIVATIONS, cols));
        let on_device = source.padded_rows(rows) as u64 * source.row_bytes();
        self.count(rows as u64 * cols as u64, source.bytes.len() as u64, on_device);
        Ok(source)
    }

    /// Packs `rows` of a matrix into `to`.
    fn upload(&mut self, to: Slice, source: &Source<'_>, rows: Range<usize>) -> Result<(), Error> {
        let (row_bytes, file_row) = (source.row_bytes(), source.bytes.len() / source.rows);
        let bytes = &source.bytes[rows.start * file_row..rows.end * file_row];
        let at = |offset: u64| usize::try_from(offset / row_bytes).unwrap_or(usize::MAX) * file_row;
        let packed = |offset: u64, to: &mut [u32]| {
            let end = at(offset + 4 * to.len() as u64).min(bytes.len());
            source.pack(&bytes[at(offset)..end], to);
        };
        self.executor.fill(to, row_bytes * self.layout.rows_interleaved() as u64, &packed)?;
        Ok(())
    }

    /// Loads the vector `name` of length `len`, converted to f32.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn vector(&mut self, name: &str, len: usize) -> Result<Vector, Error> {
        self.vectors(&[(name, len)])
    }

    /// Concatenates vectors: (name, length).
    ///
    /// # Errors
    /// As [`Self::vector`].
    pub fn vectors(&mut self, parts: &[(&str, usize)]) -> Result<Vector, Error> {
        let mut values = Vec::new();
        for &(name, len) in parts {
            let tensor = self.checkpoint.expect(name, &[len])?;
            self.used.insert(name.to_owned());
            values.extend(tensor.to_f32());
            self.count(len as u64, tensor.bytes.len() as u64, 4 * len as u64);
        }
        let label: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        self.upload_vector(&values, &label.join(" + "))
    }

    /// Loads the tensor `name` of any shape, converted to f32, row by row.
    ///
    /// # Errors
    /// As [`Self::vector`].
    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vector, Error> {
        let tensor = self.checkpoint.expect(name, shape)?;
        self.used.insert(name.to_owned());
        let values = tensor.to_f32();
        self.count(values.len() as u64, tensor.bytes.len() as u64, 4 * values.len() as u64);
        self.upload_vector(&values, name)
    }

    fn upload_vector(&mut self, values: &[f32], label: &str) -> Result<Vector, Error> {
        let buffer = self.executor.alloc(4 * values.len() as u64, Role::Weights, label)?;
        self.executor.write(buffer.all(), bytemuck::cast_slice(values))?;
        Ok(Vector { buffer, len: dim32(values.len()) })
    }

    const fn count(&mut self, params: u64, format_bytes: u64, device_bytes: u64) {
        self.report.params += params;
        self.report.format_bytes += format_bytes;
        self.report.device_bytes += device_bytes;
    }

    /// Loads the tensors outside the layers: embedding, final norm, and head (`None` if tied to the
    /// embedding).
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub(crate) fn embedding_and_head(
        &mut self,
        config: &Config,
        kind: NormKind,
    ) -> Result<(WeightMatrix, Norm, Option<WeightMatrix>), Error> {
        self.reserve(Temp::Tokens, 1);
        self.reserve(Temp::Residual, dim32(config.hidden));
        self.reserve(Temp::Logits, dim32(config.vocab));
        self.reserve(Temp::GreedyTokens, 1);
        self.reserve(Temp::PartialArgmax, MAX_ARGMAX_SPLITS);
        let embed = self.matrix("token_embd.weight", config.vocab, config.hidden)?;
        let norm = Norm::load(self, kind, "output_norm", config.hidden)?;
        let untied = self.has("output.weight");
        let head =
            if untied { Some(self.matrix("output.weight", config.vocab, config.hidden)?) } else { None };
        Ok((embed, norm, head))
    }
}

/// The tensors of one buffer as separate matrices.
fn split(whole: &WeightMatrix, run: &[Rows<'_>]) -> Vec<WeightMatrix> {
    let buffer = &whole.chunks[0].buffer;
    let mut offset = 0;
    let mut part = |rows: &Rows<'_>| {
        let rows = rows.count();
        let slice = buffer.slice(offset, rows as u64 * u64::from(whole.stride) * 16);
        offset += slice.bytes;
        let chunks = vec![RowChunk { buffer: buffer.clone(), slice, row0: 0, rows: dim32(rows) }];
        WeightMatrix { chunks, rows: dim32(rows), ..whole.clone() }
    };
    run.iter().map(&mut part).collect()
}

impl Loader<'_> {
    /// Checks that every tensor was used, unless no layer needs it: ignoring a bias gives wrong logits.
    ///
    /// # Errors
    /// [`Error::UnusedTensor`] names the first.
    pub(crate) fn finish(self, config: &Config) -> Result<(LoadReport, Reserved), Error> {
        let is_used = |name: &str| name == ROPE_FACTORS || self.used.contains(name);
        for tensor in self.checkpoint.tensors().filter(|tensor| !is_used(tensor.name)) {
            if !self.checkpoint.is_left_over(tensor.name)? {
                return Err(Error::UnusedTensor {
                    path: self.checkpoint.path().to_owned(),
                    name: tensor.name.to_owned(),
                    architecture: config.architecture.clone(),
                });
            }
        }
        Ok((self.report, self.reserved))
    }
}

/// Used through [`Checkpoint::rope_freq_factors`].
const ROPE_FACTORS: &str = "rope_freqs.weight";
