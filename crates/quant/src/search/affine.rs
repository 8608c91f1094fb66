//! Formats whose weight is `d · scale · quant - dmin · min`: two binary16 per super-block, two integers per sub-block.
//!
//! Everything is done for all `S` sub-blocks at once, lane by lane: `x[i][j]` is weight `i` of sub-block `j`.

use super::{
    ErrorWeighting, SMALLEST, Shortlist, Weighted, candidates, nearest, reciprocal, rounding_costs, stored,
};

/// Values of `d` that are looked at more closely, and pairs of `d` and `dmin` that are tried with real quants.
const CLOSER: usize = 4;
const TRIED: usize = 2;
/// Rounds with real quants for each pair, with least squares for `d` and `dmin` between them.
const ROUNDS: usize = 2;
/// Times that each sub-block's best start is improved by least squares.
const REFITS: usize = 2;

/// What one way through the weights with one scale and one minimum per sub-block tells about each sub-block.
#[derive(Clone, Copy)]
struct Pass<const S: usize> {
    /// Squared error with the nearest quants, by importance, as all the sums.
    error: [f32; S],
    /// Σ quant.
    q: [f32; S],
    /// Σ quant².
    qq: [f32; S],
    /// Σ weight · quant.
    xq: [f32; S],
}

#[inline(always)]
fn pass<const HIGHEST: u8, const N: usize, const S: usize>(
    (x, w): Weighted<'_, N, S>,
    (scales, mins): (&[f32; S], &[f32; S]),
) -> Pass<S> {
    let highest = f32::from(HIGHEST);
    let inverses = scales.map(reciprocal);
    let mut it = Pass { error: [0.0; S], q: [0.0; S], qq: [0.0; S], xq: [0.0; S] };
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            let quant = nearest((x[j] + mins[j]) * inverses[j], 0.0, highest);
            let rest = x[j] - (scales[j] * quant - mins[j]);
            it.error[j] += w[j] * rest * rest;
            it.q[j] += w[j] * quant;
            it.qq[j] += w[j] * quant * quant;
            it.xq[j] += w[j] * x[j] * quant;
        }
    }
    it
}

/// As the error of [`pass`].
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
            let rest = x[j] - (scales[j] * quant - mins[j]);
            error[j] += w[j] * rest * rest;
        }
    }
    error
}

/// The best found so far in each lane: a scale, a minimum, the squared error.
#[derive(Clone, Copy)]
struct Best<const S: usize> {
    scales: [f32; S],
    mins: [f32; S],
    error: [f32; S],
}

impl<const S: usize> Best<S> {
    const NONE: Self = Self { scales: [0.0; S], mins: [0.0; S], error: [f32::INFINITY; S] };

    /// Takes over each lane whose error is smaller.
    #[inline(always)]
    fn keep(&mut self, (scales, mins): (&[f32; S], &[f32; S]), error: &[f32; S]) {
        for j in 0..S {
            let better = error[j] < self.error[j];
            self.scales[j] = if better { scales[j] } else { self.scales[j] };
            self.mins[j] = if better { mins[j] } else { self.mins[j] };
            self.error[j] = if better { error[j] } else { self.error[j] };
        }
    }
}

/// The sub-blocks fitted with scales and minima that need not be multiples of anything.
struct Free<const S: usize> {
    scales: [f32; S],
    /// The sums with these scales; the best minimum for any scale follows from them.
    pass: Pass<S>,
    /// Σ weight.
    sums: [f32; S],
    /// Σ 1, by importance too.
    n: [f32; S],
}

impl<const S: usize> Free<S> {
    /// The best minima for other scales and the same quants.
    #[inline(always)]
    fn mins_for(&self, scales: &[f32; S]) -> [f32; S] {
        std::array::from_fn(|j| (scales[j] * self.pass.q[j] - self.sums[j]) / self.n[j])
    }
}

/// The scales and the minima, none negative, that are best for the quants of a pass.
#[inline(always)]
fn refit<const S: usize>(pass: &Pass<S>, sums: &[f32; S], n: &[f32; S]) -> ([f32; S], [f32; S]) {
    let (mut scales, mut mins) = ([0.0; S], [0.0; S]);
    for j in 0..S {
        let determinant = n[j] * pass.qq[j] - pass.q[j] * pass.q[j];
        let both = (n[j] * pass.xq[j] - sums[j] * pass.q[j]) / determinant;
        let min = (both * pass.q[j] - sums[j]) / n[j];
        let alone = pass.xq[j] / pass.qq[j];
        // Without a minimum, or with nothing else.
        let (scale, min) = if determinant > 0.0 && both > 0.0 && min >= 0.0 {
            (both, min)
        } else if pass.qq[j] > 0.0 && alone > 0.0 {
            (alone, 0.0)
        } else {
            (0.0, (-sums[j] / n[j]).max(0.0))
        };
        (scales[j], mins[j]) = (scale, min);
    }
    (scales, mins)
}

/// Where searches start: the number of steps that the range of the weights is divided into, and how many steps of
/// it are cut off at the lower end.
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

#[inline(always)]
fn free_fits<const HIGHEST: u8, const N: usize, const S: usize>((x, w): Weighted<'_, N, S>) -> Free<S> {
    let (mut sums, mut lowest, mut highest) = ([0.0; S], [0.0_f32; S], [f32::NEG_INFINITY; S]);
    let mut n = [0.0; S];
    for (x, w) in x.iter().zip(w) {
        for j in 0..S {
            n[j] += w[j];
            sums[j] += w[j] * x[j];
            lowest[j] = if x[j] < lowest[j] { x[j] } else { lowest[j] };
            highest[j] = if x[j] > highest[j] { x[j] } else { highest[j] };
        }
    }
    let mut best = Best::<S>::NONE;
    let flat: [f32; S] = std::array::from_fn(|j| (-sums[j] / n[j]).max(0.0));
    let mut consider = |scales: &[f32; S], mins: &[f32; S]| {
        best.keep((scales, mins), &errors::<HIGHEST, N, S>((x, w), (scales, mins)));
        best
    };
    let mut so_far = consider(&[0.0; S], &flat);
    for &(steps, cut) in starts(HIGHEST) {
        let scales = std::array::from_fn(|j| {
            let span = highest[j] - lowest[j];
            if span < SMALLEST { 0.0 } else { span / steps }
        });
        let mins = std::array::from_fn(|j| (-lowest[j] - cut * scales[j]).max(0.0));
        let (scales, mins) = refit(&pass::<HIGHEST, N, S>((x, w), (&scales, &mins)), &sums, &n);
        so_far = consider(&scales, &mins);
    }
    for _ in 0..REFITS {
        let pass = pass::<HIGHEST, N, S>((x, w), (&so_far.scales, &so_far.mins));
        let (scales, mins) = refit(&pass, &sums, &n);
        so_far = consider(&scales, &mins);
    }
    Free {
        scales: so_far.scales,
        pass: pass::<HIGHEST, N, S>((x, w), (&so_far.scales, &so_far.mins)),
        sums,
        n,
    }
}

/// What is stored of a super-block besides its quants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales<const S: usize> {
    /// The unit of the scales, exactly as a binary16 holds it.
    pub(super) d: f32,
    /// The unit of the minima, likewise.
    pub(super) dmin: f32,
    /// Whole numbers.
    pub(super) scales: [f32; S],
    /// Whole numbers.
    pub(super) mins: [f32; S],
}

/// Scales and minima, whole numbers up to `largest`, of `S` sub-blocks of `N` weights with quants up to `HIGHEST`.
#[inline(always)]
pub(super) fn search<const HIGHEST: u8, const N: usize, const S: usize>(
    x: &[[f32; S]; N],
    largest: f32,
    importance: ErrorWeighting,
) -> Scales<S> {
    let w = importance.of(x);
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
                break;
            }
            units = next;
        }
    }
    best.1
}

/// The pairs of `d` and `dmin` under which rounding scales and minima costs least, by the curvature of the error.
#[inline(always)]
fn shortlist_units<const S: usize>(free: &Free<S>, largest: f32) -> Shortlist<(f32, f32), TRIED> {
    let mut closer = Shortlist::<(f32, f32), CLOSER>::new();
    let peak = free.scales.iter().fold(0.0_f32, |peak, &it| peak.max(it));
    // What is left of the curvature when the minimum follows the scale.
    let curvature = std::array::from_fn(|j| free.pass.qq[j] - free.pass.q[j] * free.pass.q[j] / free.n[j]);
    let units = candidates(peak, largest);
    let costs = rounding_costs((&free.scales, &curvature), &units, (0.0, largest));
    units.iter().zip(costs).for_each(|(&d, cost)| closer.offer(cost, (cost, d)));
    let mut list = Shortlist::new();
    for (cost, d) in closer.items() {
        let inverse = reciprocal(d);
        let wanted = free.mins_for(&free.scales.map(|it| d * nearest(it * inverse, 0.0, largest)));
        let peak = wanted.iter().fold(0.0_f32, |peak, &it| peak.max(it));
        let units = candidates(peak, largest);
        let costs = rounding_costs((&wanted, &free.n), &units, (0.0, largest));
        units.iter().zip(costs).for_each(|(&dmin, cost_min)| list.offer(cost + cost_min, (d, dmin)));
    }
    list
}

/// The best of the integers next to each free scale and minimum: squared error, the integers, refitted units.
#[inline(always)]
fn round_scales<const HIGHEST: u8, const N: usize, const S: usize>(
    x: Weighted<'_, N, S>,
    free: &Free<S>,
    (d, dmin): (f32, f32),
    largest: f32,
) -> (f32, Scales<S>, (f32, f32)) {
    let (inverse, inverse_min) = (reciprocal(d), reciprocal(dmin));
    let mut best = Best::<S>::NONE;
    for step in [0.0, -1.0, 1.0] {
        let scales: [f32; S] =
            free.scales.map(|it| (nearest(it * inverse, 0.0, largest) + step).clamp(0.0, largest));
        let real = scales.map(|it| d * it);
        let wanted = free.mins_for(&real).map(|it| it * inverse_min);
        let next = wanted.map(|it| nearest(it, 0.0, largest));
        // The second nearest integer as well.
        let second = std::array::from_fn(|j| {
            (next[j] + if wanted[j] > next[j] { 1.0 } else { -1.0 }).clamp(0.0, largest)
        });
        for mins in [next, second] {
            let error = errors::<HIGHEST, N, S>(x, (&real, &mins.map(|it| dmin * it)));
            best.keep((&scales, &mins), &error);
        }
    }
    let real = (&best.scales.map(|it| d * it), &best.mins.map(|it| dmin * it));
    let pass = pass::<HIGHEST, N, S>(x, real);
    let mut normal = Normal::default();
    for j in 0..S {
        let (scale, min) = (best.scales[j], best.mins[j]);
        normal.dd += scale * scale * pass.qq[j];
        normal.dm += scale * min * pass.q[j];
        normal.mm += min * min * free.n[j];
        normal.xd += scale * pass.xq[j];
        normal.xm -= min * free.sums[j];
    }
    let found = Scales { d, dmin, scales: best.scales, mins: best.mins };
    (pass.error.iter().sum(), found, normal.solve((d, dmin)))
}

/// The normal equations of `Σ (x - d · scale · quant + dmin · min)²` for `d` and `dmin`.
#[derive(Default)]
struct Normal {
    dd: f32,
    dm: f32,
    mm: f32,
    xd: f32,
    xm: f32,
}

impl Normal {
    fn solve(&self, present: (f32, f32)) -> (f32, f32) {
        let determinant = self.dd * self.mm - self.dm * self.dm;
        if determinant > 1e-6 * self.dd * self.mm {
            let d = (self.xd * self.mm + self.xm * self.dm) / determinant;
            let dmin = (self.xm * self.dd + self.xd * self.dm) / determinant;
            if d >= 0.0 && dmin >= 0.0 {
                return (d, dmin);
            }
        }
        // One after the other, where the two cannot be told apart.
        let d = if self.dd > 0.0 { (self.xd + present.1 * self.dm) / self.dd } else { present.0 };
        let d = d.max(0.0);
        let dmin = if self.mm > 0.0 { (self.xm + d * self.dm) / self.mm } else { present.1 };
        (d, dmin.max(0.0))
    }
}
