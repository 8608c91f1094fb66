//! Search for `d · scale · level`: a binary16 `d` per super-block, a signed integer `scale` per sub-block.
//!
//! The `S` sub-blocks are SIMD lanes: `x[i][j]` is value `i` of sub-block `j`, and `w[i][j]` weighs its error.
//! Selections are written as `if … { a } else { b }` per lane, which compiles to blends.

use super::{
    ErrorWeighting, SMALLEST, Shortlist, Weighted, candidates, levels::Levels, nearest, reciprocal,
    rounding_costs, stored,
};

/// Super-block scales that reach step 3, which quantizes with them.
const TRIED: usize = 2;
/// Repetitions of steps 3 and 4 for each of them.
const ROUNDS: usize = 2;
/// Least-squares iterations from each sub-block's best start.
const REFITS: usize = 2;

/// Sums over each sub-block with the nearest levels under a given scale, all weighted by `w`.
#[derive(Clone, Copy)]
struct Sums<const S: usize> {
    /// Σ x · level.
    xq: [f32; S],
    /// Σ level².
    qq: [f32; S],
}

impl<const S: usize> Sums<S> {
    /// The least-squares scales for these levels.
    #[inline(always)]
    fn scales(&self) -> [f32; S] {
        std::array::from_fn(|j| ratio(self.xq[j], self.qq[j]))
    }
}

#[inline(always)]
fn sums<L: Levels, const N: usize, const S: usize>((x, w): Weighted<'_, N, S>, scales: &[f32; S]) -> Sums<S> {
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
    Sums { xq, qq }
}

/// The weighted squared error of each sub-block with the nearest levels under a given scale.
#[inline(always)]
fn errors<L: Levels, const N: usize, const S: usize>(
    (x, w): Weighted<'_, N, S>,
    scales: &[f32; S],
) -> [f32; S] {
    let inverses = scales.map(reciprocal);
    let mut error = [0.0; S];
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            let residual = x[j] - scales[j] * L::level(x[j] * inverses[j]);
            error[j] += w[j] * residual * residual;
        }
    }
    error
}

/// The value farthest from zero of each sub-block, with its sign; tiny ones become zero.
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

/// Step 1 (`make_qx_quants`): the best unrounded scales. Their `qq` is the curvature of the error in the scale.
#[inline(always)]
fn free_scales<L: Levels, const N: usize, const S: usize>((x, w): Weighted<'_, N, S>) -> Sums<S> {
    let peaks = peaks(x);
    let mut best = Sums { xq: [0.0; S], qq: [0.0; S] };
    let mut gains = [0.0; S];
    let mut consider = |scales: &[f32; S]| {
        let sums = sums::<L, N, S>((x, w), scales);
        // error = Σ x² − xq² / qq at the best scale for these levels, so the largest xq² / qq wins.
        let found: [f32; S] = std::array::from_fn(|j| sums.xq[j] * ratio(sums.xq[j], sums.qq[j]));
        for j in 0..S {
            let better = found[j] > gains[j];
            gains[j] = if better { found[j] } else { gains[j] };
            best.xq[j] = if better { sums.xq[j] } else { best.xq[j] };
            best.qq[j] = if better { sums.qq[j] } else { best.qq[j] };
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

/// Replaces the lanes of `best` (scales, errors) whose error is smaller.
#[inline(always)]
fn keep_better<const S: usize>(best: &mut ([f32; S], [f32; S]), scales: &[f32; S], error: &[f32; S]) {
    for j in 0..S {
        let better = error[j] < best.1[j];
        best.0[j] = if better { scales[j] } else { best.0[j] };
        best.1[j] = if better { error[j] } else { best.1[j] };
    }
}

fn ratio(numerator: f32, denominator: f32) -> f32 {
    if denominator > 0.0 { numerator / denominator } else { 0.0 }
}

/// All stored fields of a super-block but its quants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales<const S: usize> {
    /// The super-block scale, already rounded to binary16.
    pub(super) d: f32,
    /// The sub-block scales, whole numbers.
    pub(super) scales: [f32; S],
}

/// The scales of a super-block of `S` sub-blocks of `N` weights; sub-block scales are integers of `range`.
#[inline(always)]
pub(super) fn search<L: Levels, const N: usize, const S: usize>(
    x: &[[f32; S]; N],
    range: (f32, f32),
    weighting: ErrorWeighting,
) -> Scales<S> {
    let w = weighting.of(x);
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
                // The refit is below the precision of a binary16: another round would repeat this one.
                break;
            }
            d = next;
        }
    }
    best.1
}

/// Step 2: the super-block scales with the least estimated error, `Σ curvature · (scale − rounded)²`.
#[inline(always)]
fn shortlist_units<const S: usize>(
    free: &[f32; S],
    curvature: &[f32; S],
    range: (f32, f32),
) -> Shortlist<f32, TRIED> {
    let mut list = Shortlist::new();
    let largest = free.iter().fold(0.0_f32, |peak, &it| if it.abs() > peak.abs() { it } else { peak });
    // Both signs of `d`: the largest scale may become the negative or the positive end of the range.
    for end in [range.0, range.1] {
        let units = candidates(largest, end);
        let costs = rounding_costs((free, curvature), &units, range);
        units.iter().zip(costs).for_each(|(&d, cost)| list.offer(cost, d));
    }
    list
}

/// Step 3 under one `d`: the squared error, the best integer next to each unrounded scale, and the refitted `d`.
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
    // The integer on the other side.
    let second = std::array::from_fn(|j| {
        (next[j] + if wanted[j] > next[j] { 1.0 } else { -1.0 }).clamp(range.0, range.1)
    });
    for scales in [next, second] {
        let error = errors::<L, N, S>(x, &scales.map(|it| d * it));
        keep_better(&mut best, &scales, &error);
    }
    let sums = sums::<L, N, S>(x, &best.0.map(|it| d * it));
    let xq = best.0.iter().zip(sums.xq).map(|(scale, xq)| scale * xq).sum();
    let qq = best.0.iter().zip(sums.qq).map(|(scale, qq)| scale * scale * qq).sum();
    // Least squares of Σ (x − d · scale · level)² for `d`.
    (best.1.iter().sum(), best.0, ratio(xq, qq))
}

/// The best binary16 scale of each of `S` independent blocks (`IQ4_NL`).
#[inline(always)]
pub(super) fn single<L: Levels, const N: usize, const S: usize>(x: &[[f32; S]; N]) -> [f32; S] {
    let w = ErrorWeighting::Equal.of(x);
    let x = (x, &w);
    let mut best = ([0.0; S], [f32::INFINITY; S]);
    let mut consider = |scales: &[f32; S]| {
        let scales = scales.map(stored);
        keep_better(&mut best, &scales, &errors::<L, N, S>(x, &scales));
    };
    consider(&free_scales::<L, N, S>(x).scales());
    // In a nearly constant block the rounding of the scale dominates the error, so more scales are tried.
    let peaks = peaks(x.0);
    L::STARTS.iter().for_each(|start| consider(&peaks.map(|it| it / start)));
    best.0
}
