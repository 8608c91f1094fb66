//! Resizing an image and splitting it into tiles.
//!
//! The sizes are those of `Idefics3ImageProcessor` in Hugging Face transformers, its rounding included.

use crate::{RgbImage, Settings};

/// The tiles of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiles {
    /// Rows of tiles; 0 for an image that is not split.
    pub rows: u32,
    /// Columns of tiles; 0 for an image that is not split.
    pub columns: u32,
    /// Normalised values of each tile, (3, tile, tile): row by row, and the whole image last.
    pub pixels: Vec<Vec<f32>>,
}

/// Resizes and splits an image.
#[must_use]
pub fn tiles(image: &RgbImage, settings: &Settings) -> Tiles {
    let Settings { tile, filter, .. } = *settings;
    let size = longest_edge(image.size(), settings.longest_edge);
    let image = image.resized(size, filter);
    if !settings.split {
        let whole = normalised(&image.resized([tile; 2], filter), settings);
        return Tiles { rows: 0, columns: 0, pixels: vec![whole] };
    }
    let size = whole_tiles(size, tile);
    let image = image.resized(size, filter);
    let [columns, rows] = size.map(|it| it / tile);
    let mut pixels = Vec::new();
    let split = rows > 1 || columns > 1;
    if split {
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            let part = image.part([column * tile, row * tile], [tile; 2]);
            pixels.push(normalised(&part, settings));
        }
    }
    pixels.push(normalised(&image.resized([tile; 2], filter), settings));
    let [rows, columns] = if split { [rows, columns] } else { [0; 2] };
    Tiles { rows, columns, pixels }
}

/// The size with a longest edge of `longest`. The other edge keeps the ratio and is even.
fn longest_edge(size: [u32; 2], longest: u32) -> [u32; 2] {
    let other = other_edge(longest, size);
    let even = (other + other % 2).max(1);
    if size[0] >= size[1] { [longest, even] } else { [even, longest] }
}

/// The size in whole tiles: the longer edge is rounded up, the other follows the ratio and is rounded up too.
fn whole_tiles(size: [u32; 2], tile: u32) -> [u32; 2] {
    let up = |edge: u32| edge.div_ceil(tile).max(1) * tile;
    let longest = up(size[0].max(size[1]));
    let other = up(other_edge(longest, size));
    if size[0] >= size[1] { [longest, other] } else { [other, longest] }
}

/// The shorter edge at the ratio of `size`, if the longer one is `longest`. The ratio is width / height for both, as in the
/// original, because that decides the rounding.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at most the longer edge")]
fn other_edge(longest: u32, [width, height]: [u32; 2]) -> u32 {
    let (longest, ratio) = (f64::from(longest), f64::from(width) / f64::from(height));
    (if width >= height { longest / ratio } else { longest * ratio }) as u32
}

/// (value · rescale − mean) / std, channel by channel.
fn normalised(image: &RgbImage, settings: &Settings) -> Vec<f32> {
    let channel = |c: usize| {
        let (mean, std) = (settings.mean[c], settings.std[c]);
        image.pixels().map(move |it| (f32::from(it[c]) * settings.rescale - mean) / std)
    };
    (0..3).flat_map(channel).collect()
}

#[cfg(test)]
mod tests {
    use super::{longest_edge, tiles, whole_tiles};
    use crate::{RgbImage, Settings};

    #[test]
    fn sizes_are_those_of_the_original() {
        // Computed with the formulae of transformers 4.57's image_processing_idefics3.py.
        for (size, resized, whole) in [
            ([1000, 600], [2048, 1228], [2048, 1536]),
            ([600, 1000], [1228, 2048], [1536, 2048]),
            ([512, 512], [2048, 2048], [2048, 2048]),
            ([640, 479], [2048, 1532], [2048, 1536]),
            ([3, 4000], [2, 2048], [512, 2048]),
            ([4000, 1], [2048, 1], [2048, 512]),
        ] {
            assert_eq!(longest_edge(size, 2048), resized, "{size:?}");
            assert_eq!(whole_tiles(resized, 512), whole, "{size:?}");
        }
    }

    #[test]
    fn tiles_are_in_reading_order_and_the_whole_image_is_last() {
        // Left half red, right half blue: two columns of one row.
        let row = [[255, 0, 0].repeat(8), [0, 0, 255].repeat(8)].concat();
        let image = RgbImage::new([16, 8], row.repeat(8)).expect("it is filled");
        let settings = Settings { longest_edge: 16, ..Settings::new(8) };
        let found = tiles(&image, &settings);
        assert_eq!((found.rows, found.columns, found.pixels.len()), (1, 2, 3));
        let flat = |channels: [f32; 3]| channels.map(|it| vec![it; 64]).concat();
        assert_eq!(found.pixels[0], flat([1.0, -1.0, -1.0]));
        assert_eq!(found.pixels[1], flat([-1.0, -1.0, 1.0]));
        let whole = &found.pixels[2];
        assert!(whole[0] > 0.9 && whole[7] < -0.9, "red, then blue: {:?}", &whole[..8]);
        let one = tiles(&image, &Settings { split: false, ..settings });
        assert_eq!((one.rows, one.columns, &one.pixels[..]), (0, 0, &found.pixels[2..]));
        let small = tiles(&image, &Settings { longest_edge: 8, ..settings });
        assert_eq!((small.rows, small.columns, small.pixels.len()), (0, 0, 1));
    }
}
