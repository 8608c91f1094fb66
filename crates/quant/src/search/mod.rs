//! Encoders that minimise the squared error of what a decoder will make of the bytes.
//!
//! Formats with nested scales have no best rounding in closed form: the quants depend on the scales of their
//! sub-block, these on the super-block scale that they are multiples of, and that on being a binary16. The search
//! goes from the inside out and back: the best free scale of each sub-block by alternating least squares from
//! several starts; then the super-block scales under which rounding the sub-block scales costs least, estimated
//! by the curvature of the error; then, for the few best of these, the integers next to each rounded scale, judged
//! by the error with the stored numbers; then least squares for the super-block scale, as long as it helps.
//! Every comparison that decides uses the arithmetic of the decoder, so the last answer is the best one seen.

mod affine;
mod levels;
mod pack;
mod symmetric;

pub(crate) use pack::{iq4_nl, iq4_xs, q2_k, q3_k, q4_k, q5_k, q6_k};

use half::f16;

/// Weights of a super-block.
const QK_K: usize = 256;
/// Values beyond this saturate: no super-block scale reaches so far, and their squares still fit single precision.
const LARGEST: f32 = 1e15;
/// Scales below this count as zero: the smallest binary16 times one is far above, and the reciprocal stays finite.
const SMALLEST: f32 = 1e-30;

/// How much the squared error of each weight counts in a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ErrorWeighting {
    /// All count the same.
    Equal,
    /// Large ones count up to five times as much as small ones. With few levels the least error clips the largest
    /// weights, which the outputs of a layer depend on most: with equal importance the perplexity of three-bit models
    /// is a hundredth worse, although the error is smaller.
    Large,
}

impl ErrorWeighting {
    fn of<const N: usize, const S: usize>(self, x: &[[f32; S]; N]) -> [[f32; S]; N] {
        if self == Self::Equal {
            return [[1.0; S]; N];
        }
        let mut power = [0.0; S];
        for x in x {
            for j in 0..S {
                power[j] += x[j] * x[j];
            }
        }
        let power: f32 = power.iter().sum();
        if power == 0.0 {
            return [[1.0; S]; N];
        }
        let inverse = 2.0 * (N * S) as f32 / power;
        x.map(|x| x.map(|it| 1.0 + (it * it * inverse).min(4.0)))
    }
}

/// Weights and their importance.
type Weighted<'a, const N: usize, const S: usize> = (&'a [[f32; S]; N], &'a [[f32; S]; N]);

/// One over a scale; zero for no scale, so that every quant becomes zero.
fn reciprocal(scale: f32) -> f32 {
    if scale.abs() < SMALLEST { 0.0 } else { 1.0 / scale }
}

/// The nearest finite binary16, as the decoder reads it back.
fn stored(value: f32) -> f32 {
    const SMALLEST_NORMAL: f32 = 6.103_515_6e-5;
    const LARGEST_STORED: f32 = 65504.0;
    if (SMALLEST_NORMAL..=LARGEST_STORED).contains(&value.abs()) {
        // Where a binary16 is a single with fewer bits, they are rounded here, which is several times as fast: half a
        // unit less one is added, and the unit's own bit, so that ties go to even.
        let bits = value.to_bits();
        return f32::from_bits((bits + 0xfff + ((bits >> 13) & 1)) & !0x1fff);
    }
    f16::from_f32(value.clamp(-LARGEST_STORED, LARGEST_STORED)).to_f32()
}

/// The bytes of a number that [`stored`] returned.
fn half_bytes(value: f32) -> [u8; 2] {
    f16::from_f32(value).to_le_bytes()
}

/// Super-block scales that are judged together, one per lane.
const CANDIDATES: usize = 48;

/// Super-block scales under which the largest of the numbers to be rounded is laid on a number from just beyond the end
/// of the range of what is stored, where it is clipped, to about two thirds of it, whole numbers included.
fn candidates(largest: f32, end: f32) -> [f32; CANDIDATES] {
    let step = end.signum() * end.abs().log2().round().exp2() / 128.0;
    std::array::from_fn(|i| stored(largest / (end + step * (2.0 - i as f32))))
}

/// What it costs under each of the units to round each of the wanted numbers to a multiple within a range.
#[inline(always)]
fn rounding_costs<const S: usize>(
    (wanted, weights): (&[f32; S], &[f32; S]),
    units: &[f32; CANDIDATES],
    (lowest, highest): (f32, f32),
) -> [f32; CANDIDATES] {
    let inverses = units.map(reciprocal);
    let mut costs = [0.0; CANDIDATES];
    for (wanted, weight) in wanted.iter().zip(weights) {
        for c in 0..CANDIDATES {
            let rest = wanted - units[c] * nearest(wanted * inverses[c], lowest, highest);
            costs[c] += weight * rest * rest;
        }
    }
    costs
}

/// The nearest integer of a range, which lies well inside ±2²².
fn nearest(value: f32, lowest: f32, highest: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 × 2²³: the sum has no room for a fraction
    let value = if value < lowest { lowest } else { value };
    let value = if value > highest { highest } else { value };
    (value + SHIFT) - SHIFT
}

/// A small whole number to the byte it is stored in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers pass whole numbers of a byte"
)]
fn byte(value: f32) -> u8 {
    value as u8
}

/// What encoders search in: finite numbers of a size whose squares are finite too.
fn load<const N: usize>(values: &[f32]) -> [f32; N] {
    let mut x = [0.0; N];
    for (x, &value) in x.iter_mut().zip(values) {
        *x = if value.is_nan() { 0.0 } else { value.clamp(-LARGEST, LARGEST) };
    }
    x
}

/// The `K` entries of least cost, in order.
struct Shortlist<T, const K: usize> {
    entries: [Option<(f32, T)>; K],
}

impl<T: Copy + PartialEq, const K: usize> Shortlist<T, K> {
    const fn new() -> Self {
        Self { entries: [None; K] }
    }

    #[inline(always)]
    fn offer(&mut self, cost: f32, item: T) {
        if self.entries[K - 1].is_some_and(|worst| worst.0 <= cost) {
            return;
        }
        self.insert(cost, item);
    }

    fn insert(&mut self, cost: f32, item: T) {
        if self.entries.iter().flatten().any(|it| it.1 == item) {
            return;
        }
        let mut next = Some((cost, item));
        for entry in &mut self.entries {
            if entry.is_none_or(|it| next.is_some_and(|next| next.0 < it.0)) {
                std::mem::swap(entry, &mut next);
            }
        }
    }

    fn items(&self) -> impl Iterator<Item = T> {
        self.entries.iter().flatten().map(|it| it.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortlist_keeps_the_cheapest_in_order() {
        let mut list = Shortlist::<u8, 2>::new();
        for (cost, item) in [(3.0, 3), (1.0, 1), (2.0, 2), (1.0, 1), (9.0, 9)] {
            list.offer(cost, item);
        }
        assert_eq!(list.items().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn rounding_stays_in_range_and_scales_stay_finite() {
        assert_eq!(nearest(2.4, -4.0, 3.0), 2.0);
        assert_eq!(nearest(f32::INFINITY, -4.0, 3.0), 3.0);
        assert_eq!(nearest(-1e30, -4.0, 3.0), -4.0);
        assert_eq!(stored(1e9), 65504.0);
        assert_eq!(stored(-1e9), -65504.0);
        for i in 0..200_000_u32 {
            let value = f32::from_bits(i.wrapping_mul(2_654_435_761));
            let half = f16::from_f32(value.clamp(-65504.0, 65504.0)).to_f32();
            assert!(value.is_nan() || stored(value) == half, "{value}");
        }
        assert_eq!(candidates(-64.0, -32.0)[2], 2.0);
        assert_eq!(candidates(28.0, 15.0)[10], 2.0);
        assert_eq!(reciprocal(0.0), 0.0);
        assert_eq!(load::<2>(&[f32::NAN, f32::INFINITY]), [0.0, LARGEST]);
    }
}
