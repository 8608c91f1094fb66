//! Search for `d · scale · quant - dmin · min`: binary16 `d` and `dmin` per super-block, two integers per sub-block.
//!
//! The `S` sub-blocks are SIMD lanes: `x[i][j]` is value `i` of sub-block `j`, and `w[i][j]` weighs its error.
//! Selections are written as `if … { a } else { b }` per lane, which compiles to blends.

use super::{
    ErrorWeighting, SMALLEST, Shortlist, Weighted, candidates, nearest, reciprocal, rounding_costs, stored,
};

/// Values of `d` for which step 2 looks for a `dmin`.
const D_TRIED: usize = 4;
/// Pairs of `d` and `dmin` that reach step 3, which quantizes with them.
const PAIRS_TRIED: usize = 2;
/// Repetitions of steps 3 and 4 for each pair.
const ROUNDS: usize = 2;
/// Least-squares iterations from each sub-block's best start.
const REFITS: usize = 2;

/// Sums over each sub-block with the nearest quants under a given scale and minimum, all weighted by `w`.
#[derive(Clone, Copy)]
struct Sums<const S: usize> {
    /// The squared error.
    error: [f32; S],
    /// Σ quant.
    q: [f32; S],
    /// Σ quant².
    qq: [f32; S],
    /// Σ x · quant.
    xq: [f32; S],
}

#[inline(always)]
fn sums<const HIGHEST: u8, const N: usize, const S: usize>(
    (x, w): Weighted<'_, N, S>,
    (scales, mins): (&[f32; S], &[f32; S]),
) -> Sums<S> {
    let highest = f32::from(HIGHEST);
    let inverses = scales.map(reciprocal);
    let mut it = Sums { error: [0.0; S], q: [0.0; S], qq: [0.0; S], xq: [0.0; S] };
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            let quant = nearest((x[j] + mins[j]) * inverses[j], 0.0, highest);
            let residual = x[j] - (scales[j] * quant - mins[j]);
            it.error[j] += w[j] * residual * residual;
            it.q[j] += w[j] * quant;
            it.qq[j] += w[j] * quant * quant;
            it.xq[j] += w[j] * x[j] * quant;
        }
    }
    it
}

/// Only the error of [`sums`], without the work for the rest.
#[inline(always)]
fn errors<const HIGHEST: u8, const N: usize, const S: usize>(
    (x, w): Weighted<'_, N, S>,
    (scales, mins): (&[f32; S], &[f32; S]),
) -> [f32; S] {
    let highest = f32::from(HIGHEST);
    let inverses = scales.map(reciprocal);
    let mut error = [0.0; S];
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            let quant = nearest((x[j] + mins[j]) * inverses[j], 0.0, highest);
            let residual = x[j] - (scales[j] * quant - mins[j]);
            error[j] += w[j] * residual * residual;
        }
    }
    error
}

/// The best of each lane so far.
#[derive(Clone, Copy)]
struct Best<const S: usize> {
    scales: [f32; S],
    mins: [f32; S],
    error: [f32; S],
}

impl<const S: usize> Best<S> {
    const NONE: Self = Self { scales: [0.0; S], mins: [0.0; S], error: [f32::INFINITY; S] };

    /// Replaces the lanes whose error is smaller.
    #[inline(always)]
    fn keep_better(&mut self, (scales, mins): (&[f32; S], &[f32; S]), error: &[f32; S]) {
        for j in 0..S {
            let better = error[j] < self.error[j];
            self.scales[j] = if better { scales[j] } else { self.scales[j] };
            self.mins[j] = if better { mins[j] } else { self.mins[j] };
            self.error[j] = if better { error[j] } else { self.error[j] };
        }
    }
}

/// Step 1's result: scales that need not be multiples of `d`, and the sums that give the best minima for others.
struct FreeFit<const S: usize> {
    scales: [f32; S],
    /// With these scales and their minima.
    sums: Sums<S>,
    /// Σ x.
    sum_x: [f32; S],
    /// Σ 1.
    sum_w: [f32; S],
}

impl<const S: usize> FreeFit<S> {
    /// The best minima for other scales, if the quants do not change: `(scale · Σ quant − Σ x) / Σ 1`.
    #[inline(always)]
    fn mins_for(&self, scales: &[f32; S]) -> [f32; S] {
        std::array::from_fn(|j| (scales[j] * self.sums.q[j] - self.sum_x[j]) / self.sum_w[j])
    }
}

/// The least-squares scales and minima for given quants; neither may be negative, because neither has a sign bit.
#[inline(always)]
fn refit<const S: usize>(sums: &Sums<S>, sum_x: &[f32; S], sum_w: &[f32; S]) -> ([f32; S], [f32; S]) {
    let (mut scales, mut mins) = ([0.0; S], [0.0; S]);
    for j in 0..S {
        let determinant = sum_w[j] * sums.qq[j] - sums.q[j] * sums.q[j];
        let with_min = (sum_w[j] * sums.xq[j] - sum_x[j] * sums.q[j]) / determinant;
        let min = (with_min * sums.q[j] - sum_x[j]) / sum_w[j];
        let without_min = sums.xq[j] / sums.qq[j];
        // If the optimum has a negative minimum, the constrained one lies on an edge: no minimum, or only that.
        let (scale, min) = if determinant > 0.0 && with_min > 0.0 && min >= 0.0 {
            (with_min, min)
        } else if sums.qq[j] > 0.0 && without_min > 0.0 {
            (without_min, 0.0)
        } else {
            (0.0, (-sum_x[j] / sum_w[j]).max(0.0))
        };
        (scales[j], mins[j]) = (scale, min);
    }
    (scales, mins)
}

/// Starts of step 1 as `(steps, cut)`: the scale is `(max - min) / steps`, and `cut` scales are cut off at the low end.
/// `make_qkx2_quants` varies `steps` only. Fewer steps than the largest quant clip the largest values.
#[rustfmt::skip]
const fn starts(highest: u8) -> &'static [(f32, f32)] {
    match highest {
        3 => &[
            (3.0, 0.0), (2.7, 0.0), (2.4, 0.0), (2.7, 0.15), (2.4, 0.3), (2.1, 0.3), (2.0, 0.0), (2.4, -0.2),
        ],
        15 => &[(15.0, 0.0), (14.6, 0.2), (14.3, 0.0), (14.0, 0.5), (13.6, 0.2), (13.0, 0.7), (15.5, 0.0)],
        _ => &[(31.0, 0.0), (30.6, 0.2), (30.2, 0.0), (30.0, 0.5), (29.4, 0.2), (31.5, -0.2)],
    }
}

/// Step 1 (`make_qkx2_quants`): the best unrounded scales and minima of each sub-block.
#[inline(always)]
fn free_fits<const HIGHEST: u8, const N: usize, const S: usize>((x, w): Weighted<'_, N, S>) -> FreeFit<S> {
    // `lowest` starts at zero, as in ggml: a stored minimum cannot raise the range above zero.
    let (mut sum_x, mut lowest, mut highest) = ([0.0; S], [0.0_f32; S], [f32::NEG_INFINITY; S]);
    let mut sum_w = [0.0; S];
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            sum_w[j] += w[j];
            sum_x[j] += w[j] * x[j];
            lowest[j] = if x[j] < lowest[j] { x[j] } else { lowest[j] };
            highest[j] = if x[j] > highest[j] { x[j] } else { highest[j] };
        }
    }
    let mut best = Best::<S>::NONE;
    // The fit with a scale of zero: every weight is `-min`.
    let flat: [f32; S] = std::array::from_fn(|j| (-sum_x[j] / sum_w[j]).max(0.0));
    let mut consider = |scales: &[f32; S], mins: &[f32; S]| {
        best.keep_better((scales, mins), &errors::<HIGHEST, N, S>((x, w), (scales, mins)));
        best
    };
    let mut so_far = consider(&[0.0; S], &flat);
    for &(steps, cut) in starts(HIGHEST) {
        let scales = std::array::from_fn(|j| {
            let span = highest[j] - lowest[j];
            if span < SMALLEST { 0.0 } else { span / steps }
        });
        let mins = std::array::from_fn(|j| (-lowest[j] - cut * scales[j]).max(0.0));
        let (scales, mins) = refit(&sums::<HIGHEST, N, S>((x, w), (&scales, &mins)), &sum_x, &sum_w);
        so_far = consider(&scales, &mins);
    }
    for _ in 0..REFITS {
        let sums = sums::<HIGHEST, N, S>((x, w), (&so_far.scales, &so_far.mins));
        let (scales, mins) = refit(&sums, &sum_x, &sum_w);
        so_far = consider(&scales, &mins);
    }
    FreeFit {
        scales: so_far.scales,
        sums: sums::<HIGHEST, N, S>((x, w), (&so_far.scales, &so_far.mins)),
        sum_x,
        sum_w,
    }
}

/// All stored fields of a super-block but its quants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales<const S: usize> {
    /// The unit of the scales, already rounded to binary16.
    pub(super) d: f32,
    /// The unit of the minima, likewise.
    pub(super) dmin: f32,
    /// Integers.
    pub(super) scales: [f32; S],
    /// Integers.
    pub(super) mins: [f32; S],
}

/// The scales and minima, integers up to `largest`, of `S` sub-blocks of `N` weights with quants up to `HIGHEST`.
#[inline(always)]
pub(super) fn search<const HIGHEST: u8, const N: usize, const S: usize>(
    x: &[[f32; S]; N],
    largest: f32,
    weighting: ErrorWeighting,
) -> Scales<S> {
    let w = weighting.of(x);
    let x = (x, &w);
    let free = free_fits::<HIGHEST, N, S>(x);
    let mut best = (f32::INFINITY, Scales { d: 0.0, dmin: 0.0, scales: [0.0; S], mins: [0.0; S] });
    for (d, dmin) in shortlist_units(&free, largest).items() {
        let mut units = (d, dmin);
        for _ in 0..ROUNDS {
            let (error, found, next) = round_scales::<HIGHEST, N, S>(x, &free, units, largest);
            if error >= best.0 {
                break;
            }
            best = (error, found);
            let next = (stored(next.0), stored(next.1));
            if next == units {
                // The refit is below the precision of a binary16: another round would repeat this one.
                break;
            }
            units = next;
        }
    }
    best.1
}

/// Step 2: the pairs of `d` and `dmin` with the least estimated error, `Σ curvature · (number − rounded)²`.
/// First the best few `d`; then, as the best minima depend on the rounded scales, the best `dmin` for each.
#[inline(always)]
fn shortlist_units<const S: usize>(free: &FreeFit<S>, largest: f32) -> Shortlist<(f32, f32), PAIRS_TRIED> {
    let mut closer = Shortlist::<(f32, f32), D_TRIED>::new();
    let peak = free.scales.iter().fold(0.0_f32, |peak, &it| peak.max(it));
    // The curvature of the error in the scale, if the minimum is always the best for that scale.
    let curvature =
        std::array::from_fn(|j| free.sums.qq[j] - free.sums.q[j] * free.sums.q[j] / free.sum_w[j]);
    let units = candidates(peak, largest);
    let costs = rounding_costs((&free.scales, &curvature), &units, (0.0, largest));
    units.iter().zip(costs).for_each(|(&d, cost)| closer.offer(cost, (cost, d)));
    let mut list = Shortlist::new();
    for (cost, d) in closer.items() {
        let inverse = reciprocal(d);
        let wanted = free.mins_for(&free.scales.map(|it| d * nearest(it * inverse, 0.0, largest)));
        let peak = wanted.iter().fold(0.0_f32, |peak, &it| peak.max(it));
        let units = candidates(peak, largest);
        let costs = rounding_costs((&wanted, &free.sum_w), &units, (0.0, largest));
        units.iter().zip(costs).for_each(|(&dmin, cost_min)| list.offer(cost + cost_min, (d, dmin)));
    }
    list
}

/// Step 3 under one `d` and `dmin`: the squared error, the best integers next to the unrounded ones, refitted units.
#[inline(always)]
fn round_scales<const HIGHEST: u8, const N: usize, const S: usize>(
    x: Weighted<'_, N, S>,
    free: &FreeFit<S>,
    (d, dmin): (f32, f32),
    largest: f32,
) -> (f32, Scales<S>, (f32, f32)) {
    let (inverse, inverse_min) = (reciprocal(d), reciprocal(dmin));
    let mut best = Best::<S>::NONE;
    // Three integers for each scale, two for each minimum.
    for step in [0.0, -1.0, 1.0] {
        let scales: [f32; S] =
            free.scales.map(|it| (nearest(it * inverse, 0.0, largest) + step).clamp(0.0, largest));
        let real = scales.map(|it| d * it);
        let wanted = free.mins_for(&real).map(|it| it * inverse_min);
        let next = wanted.map(|it| nearest(it, 0.0, largest));
        // The integer on the other side.
        let second = std::array::from_fn(|j| {
            (next[j] + if wanted[j] > next[j] { 1.0 } else { -1.0 }).clamp(0.0, largest)
        });
        for mins in [next, second] {
            let error = errors::<HIGHEST, N, S>(x, (&real, &mins.map(|it| dmin * it)));
            best.keep_better((&scales, &mins), &error);
        }
    }
    let real = (&best.scales.map(|it| d * it), &best.mins.map(|it| dmin * it));
    let sums = sums::<HIGHEST, N, S>(x, real);
    let mut normal = NormalEquations::default();
    for j in 0..S {
        let (scale, min) = (best.scales[j], best.mins[j]);
        normal.dd += scale * scale * sums.qq[j];
        normal.dm += scale * min * sums.q[j];
        normal.mm += min * min * free.sum_w[j];
        normal.xd += scale * sums.xq[j];
        normal.xm -= min * free.sum_x[j];
    }
    let found = Scales { d, dmin, scales: best.scales, mins: best.mins };
    (sums.error.iter().sum(), found, normal.solve((d, dmin)))
}

/// Step 4: the normal equations of `Σ (x - d · scale · quant + dmin · min)²` for `d` and `dmin`.
#[derive(Default)]
struct NormalEquations {
    dd: f32,
    dm: f32,
    mm: f32,
    xd: f32,
    xm: f32,
}

impl NormalEquations {
    fn solve(&self, present: (f32, f32)) -> (f32, f32) {
        let determinant = self.dd * self.mm - self.dm * self.dm;
        if determinant > 1e-6 * self.dd * self.mm {
            let d = (self.xd * self.mm + self.xm * self.dm) / determinant;
            let dmin = (self.xm * self.dd + self.xd * self.dm) / determinant;
            if d >= 0.0 && dmin >= 0.0 {
                return (d, dmin);
            }
        }
        // Singular, or a negative solution: `d` with the present `dmin`, then `dmin` with this `d`.
        let d = if self.dd > 0.0 { (self.xd + present.1 * self.dm) / self.dd } else { present.0 };
        let d = d.max(0.0);
        let dmin = if self.mm > 0.0 { (self.xm + d * self.dm) / self.mm } else { present.1 };
        (d, dmin.max(0.0))
    }
}
