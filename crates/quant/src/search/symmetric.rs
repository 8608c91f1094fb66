//! Formats whose weight is `d · scale · level`: a binary16 per super-block, a signed integer per sub-block.
//!
//! Everything is done for all `S` sub-blocks at once, lane by lane: `x[i][j]` is weight `i` of sub-block `j`.

use super::{
    Importance, SMALLEST, Shortlist, Weighted, levels::Levels, multiples, nearest, reciprocal, stored,
};

/// Super-block scales that are tried with real quants.
const TRIED: usize = 2;
/// Rounds with real quants for each, with least squares for the super-block scale between them.
const ROUNDS: usize = 2;
/// Times that each sub-block's best start is improved by least squares.
const REFITS: usize = 2;

/// What one way through the weights with one scale per sub-block tells about each sub-block.
struct Pass<const S: usize> {
    /// Squared error with the nearest levels, by importance, as all the sums.
    error: [f32; S],
    /// Σ weight · level.
    xq: [f32; S],
    /// Σ level².
    qq: [f32; S],
}

#[inline(always)]
fn pass<L: Levels, const N: usize, const S: usize>((x, w): Weighted<'_, N, S>, scales: &[f32; S]) -> Pass<S> {
    let inverses = scales.map(reciprocal);
    let (mut error, mut xq, mut qq) = ([0.0; S], [0.0; S], [0.0; S]);
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            let level = L::level(x[j] * inverses[j]);
            let rest = x[j] - scales[j] * level;
            error[j] += w[j] * rest * rest;
            xq[j] += w[j] * x[j] * level;
            qq[j] += w[j] * level * level;
        }
    }
    Pass { error, xq, qq }
}

/// As the error of [`pass`].
#[inline(always)]
fn errors<L: Levels, const N: usize, const S: usize>(
    (x, w): Weighted<'_, N, S>,
    scales: &[f32; S],
) -> [f32; S] {
    let inverses = scales.map(reciprocal);
    let mut error = [0.0; S];
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            let rest = x[j] - scales[j] * L::level(x[j] * inverses[j]);
            error[j] += w[j] * rest * rest;
        }
    }
    error
}

/// The best scales if any number could be stored, or any binary16 where `round` is [`stored`], and how much the error
/// grows when they are missed (Σ level²).
#[inline(always)]
fn free_scales<L: Levels, const N: usize, const S: usize>(
    (x, w): Weighted<'_, N, S>,
    round: impl Fn(f32) -> f32,
) -> ([f32; S], [f32; S]) {
    let mut peaks = [0.0_f32; S];
    for x in x {
        for j in 0..S {
            peaks[j] = if x[j].abs() > peaks[j].abs() { x[j] } else { peaks[j] };
        }
    }
    let peaks = peaks.map(|it| if it.abs() < SMALLEST { 0.0 } else { it });
    let mut best = ([0.0; S], [f32::INFINITY; S]);
    for &start in L::STARTS {
        let scales = peaks.map(|it| round(it / start));
        let error = errors::<L, N, S>((x, w), &scales);
        keep(&mut best, &scales, &error);
    }
    let mut curvature = [0.0; S];
    for _ in 0..REFITS {
        let pass = pass::<L, N, S>((x, w), &best.0);
        curvature = pass.qq;
        let scales = std::array::from_fn(|j| round(ratio(pass.xq[j], pass.qq[j])));
        let error = errors::<L, N, S>((x, w), &scales);
        keep(&mut best, &scales, &error);
    }
    (best.0, curvature)
}

/// Takes over each lane whose error is smaller.
#[inline(always)]
fn keep<const S: usize>(best: &mut ([f32; S], [f32; S]), scales: &[f32; S], error: &[f32; S]) {
    for j in 0..S {
        let better = error[j] < best.1[j];
        best.0[j] = if better { scales[j] } else { best.0[j] };
        best.1[j] = if better { error[j] } else { best.1[j] };
    }
}

fn ratio(numerator: f32, denominator: f32) -> f32 {
    if denominator > 0.0 { numerator / denominator } else { 0.0 }
}

/// What is stored of a super-block besides its quants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales<const S: usize> {
    /// The super-block scale, exactly as a binary16 holds it.
    pub(super) d: f32,
    /// The sub-block scales, whole numbers.
    pub(super) scales: [f32; S],
}

/// Scales of `S` sub-blocks of `N` weights, sub-block scales being whole numbers of `range`.
#[inline(always)]
pub(super) fn search<L: Levels, const N: usize, const S: usize>(
    x: &[[f32; S]; N],
    range: (f32, f32),
    importance: Importance,
) -> Scales<S> {
    let w = importance.of(x);
    let x = (x, &w);
    let (free, curvature) = free_scales::<L, N, S>(x, |it| it);
    let mut best = (f32::INFINITY, Scales { d: 0.0, scales: [0.0; S] });
    for d in promising(&free, &curvature, range).items() {
        let mut d = d;
        for _ in 0..ROUNDS {
            let (error, scales, refit) = round_scales::<L, N, S>(x, &free, d, range);
            if error >= best.0 {
                break;
            }
            best = (error, Scales { d, scales });
            let next = stored(refit);
            if next == d {
                break;
            }
            d = next;
        }
    }
    best.1
}

/// The super-block scales under which rounding the free scales costs least.
#[inline(always)]
fn promising<const S: usize>(
    free: &[f32; S],
    curvature: &[f32; S],
    range: (f32, f32),
) -> Shortlist<f32, TRIED> {
    let mut list = Shortlist::new();
    let largest = free.iter().fold(0.0_f32, |peak, &it| if it.abs() > peak.abs() { it } else { peak });
    for end in [range.0, range.1] {
        for multiple in multiples(end) {
            let d = stored(largest / multiple);
            let inverse = reciprocal(d);
            let mut cost = [0.0; S];
            for j in 0..S {
                let rest = free[j] - d * nearest(free[j] * inverse, range.0, range.1);
                cost[j] = curvature[j] * rest * rest;
            }
            list.offer(cost.iter().sum(), d);
        }
    }
    list
}

/// The best of the integers next to each free scale: squared error, the integers, the refitted `d`.
#[inline(always)]
fn round_scales<L: Levels, const N: usize, const S: usize>(
    x: Weighted<'_, N, S>,
    free: &[f32; S],
    d: f32,
    range: (f32, f32),
) -> (f32, [f32; S], f32) {
    let inverse = reciprocal(d);
    let middle = free.map(|it| nearest(it * inverse, range.0, range.1));
    let mut best = ([0.0; S], [f32::INFINITY; S]);
    for step in [0.0, -1.0, 1.0] {
        let scales = middle.map(|it| (it + step).clamp(range.0, range.1));
        let error = errors::<L, N, S>(x, &scales.map(|it| d * it));
        keep(&mut best, &scales, &error);
    }
    let pass = pass::<L, N, S>(x, &best.0.map(|it| d * it));
    let xq = best.0.iter().zip(pass.xq).map(|(scale, xq)| scale * xq).sum();
    let qq = best.0.iter().zip(pass.qq).map(|(scale, qq)| scale * scale * qq).sum();
    (pass.error.iter().sum(), best.0, ratio(xq, qq))
}

/// The best binary16 scales of `S` blocks that have no others.
#[inline(always)]
pub(super) fn single<L: Levels, const N: usize, const S: usize>(x: &[[f32; S]; N]) -> [f32; S] {
    let w = Importance::Equal.of(x);
    free_scales::<L, N, S>((x, &w), stored).0
}
