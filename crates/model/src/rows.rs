//! Rows of a tensor in a checkpoint, and their packing for a device.

use crate::config::dim32;
use crate::matrix::{RowChunk, WeightMatrix};
use ridgeline_kernels::WeightLayout;
use ridgeline_quant::Format;
use std::borrow::Cow;

/// Rows of a tensor, from top to bottom.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'n> {
    pub(crate) name: &'n str,
    /// Rows of the tensor.
    pub(crate) of: usize,
    /// The length of the blocks of which every second one is taken, and whether that is the first or the second.
    half: Option<(usize, bool)>,
    /// The number of experts, where the tensor has three dimensions.
    experts: Option<usize>,
}

impl<'n> Rows<'n> {
    /// All `of` rows of the tensor `name`.
    #[must_use]
    pub const fn all(name: &'n str, of: usize) -> Self {
        Self { name, of, half: None, experts: None }
    }

    /// The matrices of `experts` experts, `rows` rows each. The tensor has three dimensions.
    #[must_use]
    pub const fn experts(name: &'n str, experts: usize, rows: usize) -> Self {
        Self { experts: Some(experts), ..Self::all(name, experts * rows) }
    }

    /// Half of the `of` rows of the tensor `name`: the first or the `second` of each pair of blocks of `block` rows.
    #[must_use]
    pub const fn half(name: &'n str, of: usize, block: usize, second: bool) -> Self {
        Self { half: Some((block, second)), ..Self::all(name, of) }
    }

    /// Shape of the tensor, with `cols` columns.
    pub(crate) fn shape(self, cols: usize) -> Vec<usize> {
        match self.experts {
            Some(experts) => vec![experts, self.of / experts, cols],
            None => vec![self.of, cols],
        }
    }

    /// Rows that one binding must hold together: those of an expert. Multiples of 16 keep every staging write aligned to
    /// 256 bytes.
    pub(crate) const fn unit(self) -> usize {
        match self.experts {
            Some(experts) => self.of / experts,
            None => 16,
        }
    }

    /// Rows taken.
    pub(crate) const fn count(self) -> usize {
        if self.half.is_some() { self.of / 2 } else { self.of }
    }

    /// The bytes of the rows taken, given those of the tensor.
    pub(crate) fn take(self, bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
        let Some((block, second)) = self.half else { return bytes };
        let blocks = bytes.chunks_exact(block * (bytes.len() / self.of));
        Cow::Owned(blocks.skip(usize::from(second)).step_by(2).flatten().copied().collect())
    }
}

/// Rows in the checkpoint, to be packed for a device.
pub(crate) struct Source<'a> {
    pub(crate) format: Format,
    pub(crate) layout: WeightLayout,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl Source<'_> {
    /// Words of a device row.
    pub(crate) fn row_words(&self) -> usize {
        (self.format.spec().row_words)(self.cols)
    }

    /// `rows`, padded to whole groups of interleaved rows.
    pub(crate) const fn padded_rows(&self, rows: usize) -> usize {
        rows.next_multiple_of(self.layout.rows_interleaved())
    }

    /// Bytes of a device row.
    pub(crate) fn row_bytes(&self) -> u64 {
        self.row_words() as u64 * 4
    }

    /// Packs whole rows of the file into rows of the device, one group of interleaved rows at a time.
    pub(crate) fn pack(&self, from: &[u8], to: &mut [u32]) {
        let (rows_interleaved, row_words) = (self.layout.rows_interleaved(), self.row_words());
        let (pack_row, file_row) = (self.format.spec().pack_row, self.bytes.len() / self.rows);
        let mut rows = vec![0; rows_interleaved * row_words];
        for (from, to) in
            from.chunks(rows_interleaved * file_row).zip(to.chunks_mut(rows_interleaved * row_words))
        {
            for (from, row) in from.chunks_exact(file_row).zip(rows.chunks_exact_mut(row_words)) {
                pack_row(from, row);
            }
            // Rows missing from the last group keep old values, which no kernel uses.
            self.layout.store_rows(&rows, row_words, to);
        }
    }

    /// The matrix on the device.
    pub(crate) fn matrix(&self, chunks: Vec<RowChunk>) -> WeightMatrix {
        let (rows, cols, stride) = (dim32(self.rows), dim32(self.cols), dim32(self.row_words() / 4));
        WeightMatrix { chunks, format: self.format, rows, cols, stride, layout: self.layout }
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;
    use std::borrow::Cow;

    #[test]
    fn halves_are_every_second_block() {
        let bytes: Vec<u8> = (0..16).collect();
        // Eight rows of two bytes, in blocks of two rows.
        let take = |rows: Rows<'_>| rows.take(Cow::Borrowed(&bytes)).into_owned();
        assert_eq!(take(Rows::half("q", 8, 2, false)), [0, 1, 2, 3, 8, 9, 10, 11]);
        assert_eq!(take(Rows::half("q", 8, 2, true)), [4, 5, 6, 7, 12, 13, 14, 15]);
        assert_eq!(take(Rows::all("q", 8)), bytes);
        assert_eq!([Rows::half("q", 8, 2, true).count(), Rows::all("q", 8).count()], [4, 8]);
    }
}
