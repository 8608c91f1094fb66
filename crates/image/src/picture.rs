//! An image in memory, and its resizing as Pillow does it.

use std::fmt;

/// Rows of pixels with values of red, green and blue.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    values: Vec<u8>,
}

impl fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RgbImage({} x {})", self.width, self.height)
    }
}

/// The filter of a resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Lanczos with three lobes.
    Lanczos,
    /// A triangle.
    Bilinear,
    /// The cubic of Keys (1981) with a = −1/2.
    Bicubic,
}

impl Filter {
    /// Source pixels on either side of an output pixel, without a reduction.
    const fn support(self) -> f64 {
        match self {
            Self::Lanczos => 3.0,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// The weight of a source pixel at distance x.
    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        if x >= self.support() {
            return 0.0;
        }
        match self {
            Self::Lanczos => {
                let sinc = |x: f64| {
                    let x = x * std::f64::consts::PI;
                    if x == 0.0 { 1.0 } else { x.sin() / x }
                };
                sinc(x) * sinc(x / 3.0)
            }
            Self::Bilinear => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        }
    }
}

/// Bits behind the point of a weight, as in Pillow.
const WEIGHT_BITS: u32 = 22;

/// The source pixels of one output pixel: the first, and the weights from there on. They sum to about 2 to the power of
/// [`WEIGHT_BITS`].
struct Window {
    first: usize,
    weights: Vec<i64>,
}

/// The windows of `to` output pixels over `from` source pixels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "edges have few pixels")]
fn windows(from: u32, to: u32, filter: Filter) -> Vec<Window> {
    let ratio = f64::from(from) / f64::from(to);
    // A reduction widens the filter, so that every source pixel counts.
    let spread = ratio.max(1.0);
    let support = filter.support() * spread;
    let window = |i: u32| {
        let center = (f64::from(i) + 0.5) * ratio;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5).max(0.0) as usize).min(from as usize);
        let weight = |at: usize| filter.weight((at as f64 - center + 0.5) / spread);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |it: &f64| (it / sum * f64::from(1 << WEIGHT_BITS)).round() as i64;
        Window { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(window).collect()
}

impl RgbImage {
    /// An image of these values, row by row; `None` unless they fill it.
    #[must_use]
    pub fn new([width, height]: [u32; 2], values: Vec<u8>) -> Option<Self> {
        let fills = values.len() as u64 == 3 * u64::from(width) * u64::from(height);
        fills.then_some(Self { width, height, values })
    }

    /// Width and height, in pixels.
    #[must_use]
    pub const fn size(&self) -> [u32; 2] {
        [self.width, self.height]
    }

    /// The pixels, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = [u8; 3]> {
        self.values.as_chunks().0.iter().copied()
    }

    /// The pixel in column x of row y.
    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = 3 * (y * self.width as usize + x);
        [self.values[at], self.values[at + 1], self.values[at + 2]]
    }

    /// An image of another size, whose pixel in column x of row y is `pixel(x, y)`.
    fn map([width, height]: [u32; 2], pixel: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let row = |y: usize| (0..width as usize).map(move |x| (x, y));
        let values = (0..height as usize).flat_map(row).flat_map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, values }
    }

    /// The part of `size` from column `x` of row `y` on.
    #[must_use]
    pub(crate) fn part(&self, [x, y]: [u32; 2], size: [u32; 2]) -> Self {
        Self::map(size, |column, row| self.pixel(x as usize + column, y as usize + row))
    }

    /// The image turned and mirrored from an orientation of EXIF.
    #[must_use]
    pub(crate) fn upright(self, orientation: u8) -> Self {
        let [width, height] = self.size();
        let [right, bottom] = [width, height].map(|it| (it as usize).saturating_sub(1));
        let source = |x: usize, y: usize| match orientation {
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (y, bottom - x),
            7 => (right - y, bottom - x),
            8 => (right - y, x),
            _ => (x, y),
        };
        let size = if orientation >= 5 { [height, width] } else { [width, height] };
        Self::map(size, |x, y| {
            let (x, y) = source(x, y);
            self.pixel(x, y)
        })
    }

    /// The image in another size. As in Pillow, rows come first, and values are rounded between the two passes. (Newer
    /// versions begin with the columns where only these become fewer.)
    #[must_use]
    pub fn resized(&self, [width, height]: [u32; 2], filter: Filter) -> Self {
        let columns = windows(self.width, width, filter);
        let wide = if width == self.width {
            self.clone()
        } else {
            Self::map([width, self.height], |x, y| {
                let Window { first, weights } = &columns[x];
                blend(weights.iter().zip(*first..).map(|(&weight, at)| (weight, self.pixel(at, y))))
            })
        };
        if height == self.height {
            return wide;
        }
        let rows = windows(self.height, height, filter);
        Self::map([width, height], |x, y| {
            let Window { first, weights } = &rows[y];
            blend(weights.iter().zip(*first..).map(|(&weight, at)| (weight, wide.pixel(x, at))))
        })
    }
}

/// The weighted sum of pixels, rounded.
fn blend(pixels: impl Iterator<Item = (i64, [u8; 3])>) -> [u8; 3] {
    let mut sums = [1 << (WEIGHT_BITS - 1); 3];
    for (weight, pixel) in pixels {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += weight * i64::from(value);
        }
    }
    sums.map(|it: i64| u8::try_from((it >> WEIGHT_BITS).clamp(0, 255)).unwrap_or(u8::MAX))
}
