//! Formats whose weight is `d · scale · level`: a binary16 per super-block, a signed integer per sub-block.
//!
//! Everything is done for all `S` sub-blocks at once, lane by lane: `x[i][j]` is weight `i` of sub-block `j`.

use super::{
    ErrorWeighting, SMALLEST, Shortlist, Weighted, candidates, levels::Levels, nearest, reciprocal,
    rounding_costs, stored,
};

/// Super-block scales that are tried with real quants.
const TRIED: usize = 2;
/// Rounds with real quants for each, with least squares for the super-block scale between them.
const ROUNDS: usize = 2;
/// Times that each sub-block's best start is improved by least squares.
const REFITS: usize = 2;

/// What the nearest levels under one scale per sub-block tell about each sub-block; all sums are by importance.
#[derive(Clone, Copy)]
struct Pass<const S: usize> {
    /// Σ weight · level.
    xq: [f32; S],
    /// Σ level².
    qq: [f32; S],
}

impl<const S: usize> Pass<S> {
    /// The best scales for these levels.
    #[inline(always)]
    fn scales(&self) -> [f32; S] {
        std::array::from_fn(|j| ratio(self.xq[j], self.qq[j]))
    }
}

#[inline(always)]
fn pass<L: Levels, const N: usize, const S: usize>((x, w): Weighted<'_, N, S>, scales: &[f32; S]) -> Pass<S> {
    let inverses = scales.map(reciprocal);
    let (mut xq, mut qq) = ([0.0; S], [0.0; S]);
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            let level = L::level(x[j] * inverses[j]);
            let weighted = w[j] * level;
            xq[j] += weighted * x[j];
            qq[j] += weighted * level;
        }
    }
    Pass { xq, qq }
}

/// Squared error of each sub-block with the nearest levels under one scale each, by importance.
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

/// The weight farthest from zero of each sub-block; zero where no scale could be told from zero.
#[inline(always)]
fn peaks<const N: usize, const S: usize>(x: &[[f32; S]; N]) -> [f32; S] {
    let mut peaks = [0.0_f32; S];
    for x in x {
        for j in 0..S {
            peaks[j] = if x[j].abs() > peaks[j].abs() { x[j] } else { peaks[j] };
        }
    }
    peaks.map(|it| if it.abs() < SMALLEST { 0.0 } else { it })
}

/// The best scales if any number could be stored, and how much the error grows when they are missed (Σ level²).
#[inline(always)]
fn free_scales<L: Levels, const N: usize, const S: usize>((x, w): Weighted<'_, N, S>) -> Pass<S> {
    let peaks = peaks(x);
    let mut best = Pass { xq: [0.0; S], qq: [0.0; S] };
    let mut gains = [0.0; S];
    let mut consider = |scales: &[f32; S]| {
        let pass = pass::<L, N, S>((x, w), scales);
        // What the best scale for these levels takes off the error.
        let found: [f32; S] = std::array::from_fn(|j| pass.xq[j] * ratio(pass.xq[j], pass.qq[j]));
        for j in 0..S {
            let better = found[j] > gains[j];
            gains[j] = if better { found[j] } else { gains[j] };
            best.xq[j] = if better { pass.xq[j] } else { best.xq[j] };
            best.qq[j] = if better { pass.qq[j] } else { best.qq[j] };
        }
        best.scales()
    };
    let mut scales = [0.0; S];
    for &start in L::STARTS {
        scales = consider(&peaks.map(|it| it / start));
    }
    for _ in 0..REFITS {
        scales = consider(&scales);
    }
    best
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
    importance: ErrorWeighting,
) -> Scales<S> {
    let w = importance.of(x);
    let x = (x, &w);
    let fit = free_scales::<L, N, S>(x);
    let free = fit.scales();
    let mut best = (f32::INFINITY, Scales { d: 0.0, scales: [0.0; S] });
    for d in shortlist_units(&free, &fit.qq, range).items() {
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
fn shortlist_units<const S: usize>(
    free: &[f32; S],
    curvature: &[f32; S],
    range: (f32, f32),
) -> Shortlist<f32, TRIED> {
    let mut list = Shortlist::new();
    let largest = free.iter().fold(0.0_f32, |peak, &it| if it.abs() > peak.abs() { it } else { peak });
    for end in [range.0, range.1] {
        let units = candidates(largest, end);
        let costs = rounding_costs((free, curvature), &units, range);
        units.iter().zip(costs).for_each(|(&d, cost)| list.offer(cost, d));
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
    let mut best = ([0.0; S], [f32::INFINITY; S]);
    let wanted = free.map(|it| it * inverse);
    let next = wanted.map(|it| nearest(it, range.0, range.1));
    // The second nearest integer as well.
    let second = std::array::from_fn(|j| {
        (next[j] + if wanted[j] > next[j] { 1.0 } else { -1.0 }).clamp(range.0, range.1)
    });
    for scales in [next, second] {
        let error = errors::<L, N, S>(x, &scales.map(|it| d * it));
        keep(&mut best, &scales, &error);
    }
    let pass = pass::<L, N, S>(x, &best.0.map(|it| d * it));
    let xq = best.0.iter().zip(pass.xq).map(|(scale, xq)| scale * xq).sum();
    let qq = best.0.iter().zip(pass.qq).map(|(scale, qq)| scale * scale * qq).sum();
    (best.1.iter().sum(), best.0, ratio(xq, qq))
}

/// The best binary16 scales of `S` blocks that have no others.
#[inline(always)]
pub(super) fn single<L: Levels, const N: usize, const S: usize>(x: &[[f32; S]; N]) -> [f32; S] {
    let w = ErrorWeighting::Equal.of(x);
    let x = (x, &w);
    let mut best = ([0.0; S], [f32::INFINITY; S]);
    let mut consider = |scales: &[f32; S]| {
        let scales = scales.map(stored);
        keep(&mut best, &scales, &errors::<L, N, S>(x, &scales));
    };
    consider(&free_scales::<L, N, S>(x).scales());
    // Where a block is nearly constant, what counts is how well a binary16 happens to hold one of these.
    let peaks = peaks(x.0);
    L::STARTS.iter().for_each(|start| consider(&peaks.map(|it| it / start)));
    best.0
}
