//! Memory layouts of weight matrices on a device.

use crate::common::to_u32;
use ridgeline_compute::Defines;
use ridgeline_quant::Format;

/// The order of the rows of a matrix in device memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum WeightLayout {
    /// Row-major: one row after the other, in a buffer.
    #[default]
    Plain,
    /// Eight rows are interleaved, one vec4 of each. The last group of eight is padded with zeros. In a texture.
    Interleaved,
}

impl WeightLayout {
    /// Number of rows that are interleaved with each other.
    #[must_use]
    pub const fn rows_interleaved(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Interleaved => 8,
        }
    }

    /// Whether the matrix is in a texture. Software adapters load a texel faster than a word of a buffer.
    #[must_use]
    pub const fn in_texture(self) -> bool {
        matches!(self, Self::Interleaved)
    }

    /// Adds the layout to a template, as `INTERLEAVED`.
    pub(crate) fn define(self, defines: Defines) -> Defines {
        defines.value("INTERLEAVED", self == Self::Interleaved)
    }

    /// Bytes of `rows` rows of `stride` vec4s, padding included.
    #[must_use]
    pub const fn bytes(self, rows: u64, stride: u32) -> u64 {
        rows.next_multiple_of(self.rows_interleaved() as u64) * stride as u64 * 16
    }

    /// Writes one group of [`Self::rows_interleaved`] rows of `row_words` words to `to`, in this layout.
    pub fn store_rows(self, rows: &[u32], row_words: usize, to: &mut [u32]) {
        match self {
            Self::Plain => to.copy_from_slice(rows),
            Self::Interleaved => {
                for (at, to) in to.chunks_exact_mut(self.rows_interleaved() * 4).enumerate() {
                    for (row, to) in rows.chunks_exact(row_words).zip(to.chunks_exact_mut(4)) {
                        to.copy_from_slice(&row[4 * at..4 * at + 4]);
                    }
                }
            }
        }
    }

    /// Reads row `index` of `stride` vec4s: the inverse of [`Self::store_rows`].
    pub(crate) fn load_row(self, from: &[u32], index: usize, stride: u32) -> Vec<u32> {
        let (rows_interleaved, stride) = (self.rows_interleaved(), stride as usize);
        let from =
            &from[index / rows_interleaved * rows_interleaved * stride * 4 + index % rows_interleaved * 4..];
        from.chunks(rows_interleaved * 4).take(stride).flat_map(|word| word[..4].to_vec()).collect()
    }
}

/// Decodes row `index` of a matrix in any layout into `row`.
pub(crate) fn decode_layout_row(
    (format, layout): (Format, WeightLayout),
    words: &[u32],
    (index, stride): (u32, u32),
    row: &mut [f32],
) {
    let words = layout.load_row(words, index as usize, stride);
    (format.spec().decode_row)(&words[..(format.spec().row_words)(row.len())], row);
}

/// Copies plain rows of `stride` vec4s into `layout`.
pub(crate) fn to_layout(layout: WeightLayout, rows: &[u32], stride: u32) -> Vec<u32> {
    let row_words = stride as usize * 4;
    let held = layout.bytes((rows.len() / row_words) as u64, stride);
    let mut rows = rows.to_vec();
    rows.resize(to_u32(held / 4) as usize, 0);
    let mut words = vec![0; rows.len()];
    let rows_interleaved = layout.rows_interleaved() * row_words;
    let groups = rows.chunks_exact(rows_interleaved).zip(words.chunks_exact_mut(rows_interleaved));
    groups.for_each(|(rows, words)| layout.store_rows(rows, row_words, words));
    words
}

#[cfg(test)]
mod tests {
    use super::{WeightLayout, to_layout};

    #[test]
    fn eight_rows_are_interleaved_and_the_last_are_padded() {
        let rows: Vec<u32> = (0..9 * 8).collect();
        let words = to_layout(WeightLayout::Interleaved, &rows, 2);
        assert_eq!(words.len(), 16 * 8);
        assert_eq!(words[..8], [0, 1, 2, 3, 8, 9, 10, 11], "word 0 of rows 0 and 1");
        assert_eq!(words[32..36], [4, 5, 6, 7], "word 1 of row 0");
        assert_eq!(words[64..72], [64, 65, 66, 67, 0, 0, 0, 0], "row 8, and no row 9");
    }

    #[test]
    fn a_stored_row_loads_back() {
        let rows: Vec<u32> = (0..11 * 12).collect();
        for layout in [WeightLayout::Plain, WeightLayout::Interleaved] {
            let words = to_layout(layout, &rows, 3);
            assert_eq!(words.len() as u64 * 4, layout.bytes(11, 3));
            for (i, row) in rows.chunks(12).enumerate() {
                assert_eq!(layout.load_row(&words, i, 3), row, "{layout:?} {i}");
            }
        }
    }
}
