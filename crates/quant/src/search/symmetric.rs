//! Formats whose weight is `d · scale · level`: a binary16 per super-block, a signed integer per sub-block.

use super::{LANES, SMALLEST, Shortlist, levels::Levels, multiples, nearest, reciprocal, stored};

/// Super-block scales that are tried with real quants.
const TRIED: usize = 3;
/// Rounds of least squares for the super-block scale.
const ROUNDS: usize = 3;

/// What one way through a sub-block with one scale tells.
#[derive(Clone, Copy, Default)]
struct Pass {
    /// Squared error with the nearest levels.
    error: f32,
    /// Σ weight · level.
    xq: f32,
    /// Σ level².
    qq: f32,
}

impl Pass {
    /// The best scale for these levels.
    fn refit(self) -> f32 {
        if self.qq > 0.0 { self.xq / self.qq } else { 0.0 }
    }
}

#[inline(always)]
fn pass<L: Levels, const N: usize>(x: &[f32; N], scale: f32) -> Pass {
    let inverse = reciprocal(scale);
    let (mut error, mut xq, mut qq) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for x in x.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let level = L::level(x[i] * inverse);
            let rest = x[i] - scale * level;
            error[i] += rest * rest;
            xq[i] += x[i] * level;
            qq[i] += level * level;
        }
    }
    let sum = |lanes: [f32; LANES]| lanes.iter().sum();
    Pass { error: sum(error), xq: sum(xq), qq: sum(qq) }
}

/// The best scale of a sub-block if any number could be stored, and the pass with it.
fn free_scale<L: Levels, const N: usize>(x: &[f32; N]) -> (f32, Pass) {
    let peak = x.iter().fold(0.0_f32, |peak, &it| if it.abs() > peak.abs() { it } else { peak });
    let mut best = (0.0, pass::<L, N>(x, 0.0));
    if peak.abs() < SMALLEST {
        return best;
    }
    for start in L::STARTS {
        let mut scale = peak / start;
        for _ in 0..3 {
            let pass = pass::<L, N>(x, scale);
            if pass.error < best.1.error {
                best = (scale, pass);
            }
            scale = pass.refit();
        }
    }
    best
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
pub(super) fn search<L: Levels, const N: usize, const S: usize>(
    x: &[[f32; N]; S],
    range: (f32, f32),
) -> Scales<S> {
    let free = x.each_ref().map(|x| free_scale::<L, N>(x));
    let mut best = (f32::INFINITY, Scales { d: 0.0, scales: [0.0; S] });
    for d in promising(&free, range).items() {
        let mut d = d;
        for _ in 0..ROUNDS {
            let (error, refit, scales) = round_scales::<L, N, S>(x, &free, d, range);
            if error < best.0 {
                best = (error, Scales { d, scales });
            }
            let next = stored(refit);
            if next == d || next == best.1.d {
                break;
            }
            d = next;
        }
    }
    best.1
}

/// The super-block scales under which rounding the free scales costs least, by the curvature Σ level² of the error.
fn promising<const S: usize>(free: &[(f32, Pass); S], range: (f32, f32)) -> Shortlist<f32, TRIED> {
    let mut list = Shortlist::new();
    let largest = free.iter().fold(0.0_f32, |peak, it| if it.0.abs() > peak.abs() { it.0 } else { peak });
    for end in [range.0, range.1] {
        for multiple in multiples(end) {
            let d = stored(largest / multiple);
            let inverse = reciprocal(d);
            let cost = |&(scale, pass): &(f32, Pass)| {
                let rest = scale - d * nearest(scale * inverse, range.0, range.1);
                pass.qq * rest * rest
            };
            list.offer(free.iter().map(cost).sum(), d);
        }
    }
    list
}

/// The best of the integers next to each free scale: squared error, the refitted `d`, the integers.
fn round_scales<L: Levels, const N: usize, const S: usize>(
    x: &[[f32; N]; S],
    free: &[(f32, Pass); S],
    d: f32,
    range: (f32, f32),
) -> (f32, f32, [f32; S]) {
    let inverse = reciprocal(d);
    let mut scales = [0.0; S];
    let (mut error, mut xq, mut qq) = (0.0, 0.0, 0.0);
    for ((x, &(wanted, _)), out) in x.iter().zip(free).zip(&mut scales) {
        let middle = nearest(wanted * inverse, range.0, range.1);
        let mut best = (pass::<L, N>(x, d * middle), middle);
        for scale in [middle - 1.0, middle + 1.0] {
            if scale < range.0 || scale > range.1 {
                continue;
            }
            let pass = pass::<L, N>(x, d * scale);
            if pass.error < best.0.error {
                best = (pass, scale);
            }
        }
        let (pass, scale) = best;
        *out = scale;
        error += pass.error;
        xq += scale * pass.xq;
        qq += scale * scale * pass.qq;
    }
    (error, if qq > 0.0 { xq / qq } else { 0.0 }, scales)
}

/// The best binary16 scale of a block that has no other.
pub(super) fn single<L: Levels, const N: usize>(x: &[f32; N]) -> f32 {
    let (free, _) = free_scale::<L, N>(x);
    let middle = stored(free);
    let mut best = (f32::INFINITY, 0.0);
    let mut d = middle;
    for _ in 0..ROUNDS {
        let pass = pass::<L, N>(x, d);
        if pass.error < best.0 {
            best = (pass.error, d);
        }
        d = stored(pass.refit());
    }
    best.1
}
