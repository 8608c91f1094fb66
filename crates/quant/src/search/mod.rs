//! Encoders of the K-quants and the `IQ4` types: a search for the scales with the least squared error.
//!
//! ```text
//! 1. per sub-block     fit unrounded scale (and min): a grid of starts, alternating least squares  free_scales, free_fits
//! 2. per super-block   d = candidates; estimate the error of rounding scale / d to an integer      shortlist_units
//! 3. per shortlisted d try the integers on both sides of scale / d with real quants, keep the best round_scales
//! 4. refit d by least squares to these integers and quants; repeat 3 while the error falls         search
//! ```
//!
//! Step 1 is like ggml's `make_qx_quants` (`symmetric.rs`) and `make_qkx2_quants` (`affine.rs`), with other starts and
//! more least-squares iterations.
//! Steps 2 to 4 replace ggml's `d = largest scale / largest integer` and its rounding of scales to the nearest.
//! No closed form exists: quants depend on sub-block scales, and these on `d`, which is a binary16.
//! Step 3 compares errors in the decoder's arithmetic, so the result is the best of all that were tried.

mod affine;
mod levels;
mod pack;
mod symmetric;

pub(crate) use pack::{iq4_nl, iq4_xs, q2_k, q3_k, q4_k, q5_k, q6_k};

use half::f16;

/// Weights of a super-block.
const QK_K: usize = 256;
/// Larger values are clamped: no super-block scale reaches them, and the squares of these still fit f32.
const LARGEST: f32 = 1e15;
/// Smaller scales count as zero. The smallest binary16 is far above it, and its reciprocal is finite.
const SMALLEST: f32 = 1e-30;

/// The factor of each value's squared error in a search, ggml's `weights` in `make_qkx2_quants`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ErrorWeighting {
    /// 1 for all.
    Equal,
    /// `1 + min(4, 2 x² / mean x²)`, for formats of two and three bits. With so few levels, equal factors clip the
    /// largest values, on which the outputs of a layer depend most. They give less error and a worse perplexity.
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

/// Values and the factors of their errors.
type Weighted<'a, const N: usize, const S: usize> = (&'a [[f32; S]; N], &'a [[f32; S]; N]);

/// `1 / scale`, or zero for a scale of zero: then every quant becomes zero.
fn reciprocal(scale: f32) -> f32 {
    if scale.abs() < SMALLEST { 0.0 } else { 1.0 / scale }
}

/// The nearest finite binary16, as the decoder widens it.
fn stored(value: f32) -> f32 {
    const SMALLEST_NORMAL: f32 = 6.103_515_6e-5;
    const LARGEST_STORED: f32 = 65504.0;
    if (SMALLEST_NORMAL..=LARGEST_STORED).contains(&value.abs()) {
        // A normal binary16 is an f32 with 13 bits less, so rounding its bits is exact and faster than `half`.
        // Adding 0xfff and the lowest kept bit before the cut rounds to nearest, ties to even.
        let bits = value.to_bits();
        return f32::from_bits((bits + 0xfff + ((bits >> 13) & 1)) & !0x1fff);
    }
    f16::from_f32(value.clamp(-LARGEST_STORED, LARGEST_STORED)).to_f32()
}

/// The bytes of a number that [`stored`] returned.
fn half_bytes(value: f32) -> [u8; 2] {
    f16::from_f32(value).to_le_bytes()
}

/// Super-block scales that are compared at once, one per SIMD lane.
const CANDIDATES: usize = 48;

/// Candidates for a super-block scale: `largest / k` for 48 values `k` near `end`, the end of the integer range.
/// `k` runs from just beyond `end`, where `largest` is clipped, to about two thirds of it. It hits every integer.
fn candidates(largest: f32, end: f32) -> [f32; CANDIDATES] {
    let step = end.signum() * end.abs().log2().round().exp2() / 128.0;
    std::array::from_fn(|i| stored(largest / (end + step * (2.0 - i as f32))))
}

/// For each unit: the error of rounding `wanted` to multiples of it, the multiples being in a range.
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
            let residual = wanted - units[c] * nearest(wanted * inverses[c], lowest, highest);
            costs[c] += weight * residual * residual;
        }
    }
    costs
}

/// The nearest integer of a range inside ±2²². Two additions, so that loops over it vectorize.
fn nearest(value: f32, lowest: f32, highest: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 × 2²³: the sum has no bits for a fraction
    let value = if value < lowest { lowest } else { value };
    let value = if value > highest { highest } else { value };
    (value + SHIFT) - SHIFT
}

/// A whole number of 0..=255 as a byte.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers pass whole numbers of a byte"
)]
fn byte(value: f32) -> u8 {
    value as u8
}

/// Clamped values, NaN being zero, so that all sums of squares are finite.
fn finite<const N: usize>(values: &[f32]) -> [f32; N] {
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
        assert_eq!(finite::<2>(&[f32::NAN, f32::INFINITY]), [0.0, LARGEST]);
    }
}
