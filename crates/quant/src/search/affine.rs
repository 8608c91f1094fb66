//! Formats whose weight is `d · scale · quant - dmin · min`: two binary16 per super-block, two integers per sub-block.

use super::{LANES, SMALLEST, Shortlist, multiples, nearest, reciprocal, stored};

/// Values of `d` that are looked at more closely, and pairs of `d` and `dmin` that are tried with real quants.
const CLOSER: usize = 4;
const TRIED: usize = 2;
/// Rounds with real quants for each pair, with least squares for `d` and `dmin` between them.
const ROUNDS: usize = 3;

/// What one way through a sub-block with one scale and minimum tells.
#[derive(Clone, Copy)]
struct Pass {
    /// Squared error with the nearest quants.
    error: f32,
    /// Σ quant.
    q: f32,
    /// Σ quant².
    qq: f32,
    /// Σ weight · quant.
    xq: f32,
}

/// A sub-block fitted with a scale and a minimum that need not be multiples of anything; the minimum follows from
/// the rest.
#[derive(Clone, Copy)]
struct Free {
    scale: f32,
    pass: Pass,
    /// Σ weight.
    sum: f32,
}

impl Free {
    /// The best minimum for another scale and the same quants.
    fn min_for<const N: usize>(&self, scale: f32) -> f32 {
        (scale * self.pass.q - self.sum) / N as f32
    }
}

#[inline(always)]
fn pass<const HIGHEST: u8, const N: usize>(x: &[f32; N], scale: f32, min: f32) -> Pass {
    let highest = f32::from(HIGHEST);
    let inverse = reciprocal(scale);
    let (mut error, mut q, mut qq, mut xq) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for x in x.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let quant = nearest((x[i] + min) * inverse, 0.0, highest);
            let rest = x[i] - (scale * quant - min);
            error[i] += rest * rest;
            q[i] += quant;
            qq[i] += quant * quant;
            xq[i] += x[i] * quant;
        }
    }
    let sum = |lanes: [f32; LANES]| lanes.iter().sum();
    Pass { error: sum(error), q: sum(q), qq: sum(qq), xq: sum(xq) }
}

/// The scale and the minimum, neither negative, that are best for the quants of a pass.
fn refit<const N: usize>(pass: Pass, sum: f32) -> (f32, f32) {
    let n = N as f32;
    let determinant = n * pass.qq - pass.q * pass.q;
    if determinant > 0.0 {
        let scale = (n * pass.xq - sum * pass.q) / determinant;
        let min = (scale * pass.q - sum) / n;
        if scale > 0.0 && min >= 0.0 {
            return (scale, min);
        }
    }
    // Without a minimum, or with nothing else.
    let scale = if pass.qq > 0.0 { pass.xq / pass.qq } else { 0.0 };
    if scale > 0.0 { (scale, 0.0) } else { (0.0, (-sum / n).max(0.0)) }
}

/// Where searches start: the number of steps that the range of the weights is divided into, and how many steps of
/// it are cut off at the lower end.
const fn starts(highest: u8) -> &'static [(f32, f32)] {
    match highest {
        3 => &[
            (3.0, 0.0),
            (2.7, 0.0),
            (2.4, 0.0),
            (2.7, 0.15),
            (2.4, 0.3),
            (2.1, 0.3),
            (2.0, 0.0),
            (2.4, -0.2),
            (3.4, 0.0),
        ],
        15 => &[(15.0, 0.0), (14.6, 0.2), (14.3, 0.0), (14.0, 0.5), (13.6, 0.2), (13.0, 0.7), (15.5, 0.0)],
        _ => &[(31.0, 0.0), (30.6, 0.2), (30.2, 0.0), (30.0, 0.5), (29.4, 0.2), (31.5, -0.2)],
    }
}

fn free_fit<const HIGHEST: u8, const N: usize>(x: &[f32; N]) -> Free {
    let sum: f32 = x.iter().sum();
    let (lowest, highest) = x.iter().fold((0.0_f32, f32::NEG_INFINITY), |it, &x| (it.0.min(x), it.1.max(x)));
    let span = highest - lowest;
    let flat = (-sum / N as f32).max(0.0);
    let mut best = Free { scale: 0.0, pass: pass::<HIGHEST, N>(x, 0.0, flat), sum };
    if span < SMALLEST {
        return best;
    }
    for &(steps, cut) in starts(HIGHEST) {
        let (mut scale, mut min) = (span / steps, (-lowest - cut * span / steps).max(0.0));
        for _ in 0..3 {
            let pass = pass::<HIGHEST, N>(x, scale, min);
            if pass.error < best.pass.error {
                best = Free { scale, pass, sum };
            }
            (scale, min) = refit::<N>(pass, sum);
        }
    }
    best
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
pub(super) fn search<const HIGHEST: u8, const N: usize, const S: usize>(
    x: &[[f32; N]; S],
    largest: f32,
) -> Scales<S> {
    let free = x.each_ref().map(free_fit::<HIGHEST, N>);
    let mut best = (f32::INFINITY, Scales { d: 0.0, dmin: 0.0, scales: [0.0; S], mins: [0.0; S] });
    for (d, dmin) in promising::<N, S>(&free, largest).items() {
        let mut units = (d, dmin);
        for _ in 0..ROUNDS {
            let (error, next, found) = round_scales::<HIGHEST, N, S>(x, &free, units, largest);
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
fn promising<const N: usize, const S: usize>(free: &[Free; S], largest: f32) -> Shortlist<(f32, f32), TRIED> {
    let mut closer = Shortlist::<(f32, f32), CLOSER>::new();
    let peak = free.iter().fold(0.0_f32, |peak, it| peak.max(it.scale));
    for multiple in multiples(largest) {
        let d = stored(peak / multiple);
        let inverse = reciprocal(d);
        let cost = |it: &Free| {
            let rest = it.scale - d * nearest(it.scale * inverse, 0.0, largest);
            // What is left of the curvature when the minimum follows the scale.
            let curvature = it.pass.qq - it.pass.q * it.pass.q / N as f32;
            curvature * rest * rest
        };
        let cost = free.iter().map(cost).sum();
        closer.offer(cost, (cost, d));
    }
    let mut list = Shortlist::new();
    for (cost, d) in closer.items() {
        let inverse = reciprocal(d);
        let wanted = free.map(|it| it.min_for::<N>(d * nearest(it.scale * inverse, 0.0, largest)));
        let peak = wanted.iter().fold(0.0_f32, |peak, &it| peak.max(it));
        for multiple in multiples(largest) {
            let dmin = stored(peak / multiple);
            let inverse = reciprocal(dmin);
            let rest = |&min: &f32| min - dmin * nearest(min * inverse, 0.0, largest);
            let cost_min: f32 = wanted.iter().map(rest).map(|it| it * it).sum();
            list.offer(cost + N as f32 * cost_min, (d, dmin));
        }
    }
    list
}

/// The best of the integers next to each free scale and minimum: squared error, refitted units, and the integers.
fn round_scales<const HIGHEST: u8, const N: usize, const S: usize>(
    x: &[[f32; N]; S],
    free: &[Free; S],
    (d, dmin): (f32, f32),
    largest: f32,
) -> (f32, (f32, f32), Scales<S>) {
    let (inverse, inverse_min) = (reciprocal(d), reciprocal(dmin));
    let mut found = Scales { d, dmin, scales: [0.0; S], mins: [0.0; S] };
    let mut error = 0.0;
    let mut normal = Normal::default();
    for (j, (x, free)) in x.iter().zip(free).enumerate() {
        let middle = nearest(free.scale * inverse, 0.0, largest);
        let mut best: Option<(Pass, f32, f32)> = None;
        for scale in [middle, middle - 1.0, middle + 1.0] {
            if scale < 0.0 || scale > largest {
                continue;
            }
            let wanted = free.min_for::<N>(d * scale) * inverse_min;
            let min = nearest(wanted, 0.0, largest);
            // The second nearest integer as well.
            for min in [min, if wanted > min { min + 1.0 } else { min - 1.0 }] {
                if min < 0.0 || min > largest {
                    continue;
                }
                let pass = pass::<HIGHEST, N>(x, d * scale, dmin * min);
                if best.is_none_or(|it| pass.error < it.0.error) {
                    best = Some((pass, scale, min));
                }
            }
        }
        let (pass, scale, min) = best.expect("the middle is in range");
        (found.scales[j], found.mins[j]) = (scale, min);
        error += pass.error;
        normal.add::<N>(pass, free.sum, scale, min);
    }
    (error, normal.solve((d, dmin)), found)
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
    fn add<const N: usize>(&mut self, pass: Pass, sum: f32, scale: f32, min: f32) {
        self.dd += scale * scale * pass.qq;
        self.dm += scale * min * pass.q;
        self.mm += min * min * N as f32;
        self.xd += scale * pass.xq;
        self.xm -= min * sum;
    }

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
