//! Loading the tensors of an image encoder in another form than the file's. They become f32.

use super::Loader;
use crate::Error;
use crate::matrix::{Vector, WeightMatrix};
use crate::rows::Source;
use ridgeline_quant::Format;

impl Loader<'_> {
    /// Vectors of `len` values, one after the other. Value i is that at `index(i)` of a tensor of this shape, and zero where
    /// that is `None`.
    ///
    /// # Errors
    /// As [`Self::vector`].
    pub(crate) fn gathered(
        &mut self,
        (names, shape): (&[&str], &[usize]),
        len: usize,
        index: impl Fn(usize) -> Option<usize>,
    ) -> Result<Vector, Error> {
        let mut values = Vec::new();
        for name in names {
            values.extend(self.gather((name, shape), len, &index)?);
        }
        self.upload_vector(&values, &names.join(" + "))
    }

    /// A matrix whose values are those at `index(row, column)` of a tensor of this shape, and zero where that is `None`.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub(crate) fn gathered_matrix(
        &mut self,
        (name, shape): (&str, &[usize]),
        [rows, cols]: [usize; 2],
        index: impl Fn(usize, usize) -> Option<usize>,
    ) -> Result<WeightMatrix, Error> {
        let values = self.gather((name, shape), rows * cols, |i| index(i / cols, i % cols))?;
        let bytes = bytemuck::cast_slice(&values).to_vec().into();
        let source = Source { format: Format::SINGLE, layout: self.layout, rows, cols, bytes };
        self.place(&source, name, 16)
    }

    fn gather(
        &mut self,
        (name, shape): (&str, &[usize]),
        len: usize,
        index: impl Fn(usize) -> Option<usize>,
    ) -> Result<Vec<f32>, Error> {
        let tensor = self.checkpoint.expect(name, shape)?;
        self.used.insert(name.to_owned());
        let stored = tensor.to_f32();
        self.count(stored.len() as u64, tensor.bytes.len() as u64, 4 * len as u64);
        Ok((0..len).map(|i| index(i).map_or(0.0, |at| stored[at])).collect())
    }
}
