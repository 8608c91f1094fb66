//! Agreement of two probes of a device: per quantity, do their intervals overlap?

use super::{Ceiling, MatVecRate};
use ridgeline_roofline::{Curve, Machine, Measured, Overheads};
use serde::{Deserialize, Serialize};

/// Fraction by which intervals are widened before they are compared.
///
/// On a shared host two runs differ by more than the intervals of a single short run cover.
pub const NOISE_FLOOR: f64 = 0.05;

/// One quantity in two probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Name and unit.
    pub quantity: String,
    /// In the first probe, in the unit that `quantity` names.
    pub a: Measured,
    /// In the second probe, in the same unit.
    pub b: Measured,
    /// Whether the intervals overlap, each widened by [`NOISE_FLOOR`].
    pub agree: bool,
}

/// Every measured quantity of a machine by name, in bytes/s, FLOP/s or seconds.
#[must_use]
pub fn quantities(machine: &Machine) -> Vec<(String, Measured)> {
    let Machine { bandwidth, flops_f32, flops_f16, overheads, .. } = machine;
    let mut all = points("read", &bandwidth.read);
    all.extend(points("copy", &bandwidth.copy));
    all.extend(points("triad", &bandwidth.triad));
    all.push(("f32 arithmetic, FLOP/s".to_owned(), *flops_f32));
    all.extend(flops_f16.map(|m| ("f16 arithmetic, FLOP/s".to_owned(), m)));
    all.extend(costs(overheads));
    all
}

impl Ceiling {
    /// Seconds of a fixed amount of work in each block, which do not depend on its length.
    ///
    /// The work is a gigabyte at the largest working set, or a GFLOP. For fixed costs it is their geometric mean.
    #[must_use]
    pub fn block_seconds(&self) -> Vec<f64> {
        let per = |rates: &[f64]| rates.iter().map(|rate| 1e9 / rate).collect::<Vec<_>>();
        match self {
            Self::Read(c) | Self::Copy(c) | Self::Triad(c) => {
                c.blocks.last().map(|it| per(it)).unwrap_or_default()
            }
            Self::Flops(p) => per(&p.f32.blocks),
            Self::Overheads(o) => o.blocks.iter().map(|costs| geometric_mean(costs)).collect(),
            Self::Matvec(m) => m.products.first().map(|p| per(&p.blocks)).unwrap_or_default(),
        }
    }

    /// Every quantity by name, in bytes/s, FLOP/s or seconds.
    #[must_use]
    pub fn quantities(&self) -> Vec<(String, Measured)> {
        match self {
            Self::Read(c) => points("read", &c.curve),
            Self::Copy(c) => points("copy", &c.curve),
            Self::Triad(c) => points("triad", &c.curve),
            Self::Flops(p) => {
                let f16 = p.f16.as_ref().map(|p| ("f16 arithmetic, FLOP/s".to_owned(), p.rate));
                [("f32 arithmetic, FLOP/s".to_owned(), p.f32.rate)].into_iter().chain(f16).collect()
            }
            Self::Overheads(o) => costs(&o.overheads),
            Self::Matvec(m) => {
                let named = |p: &MatVecRate| (format!("{} product, B/s", p.format), p.streamed);
                m.products.iter().map(named).collect()
            }
        }
    }
}

/// Geometric mean of positive values; smaller ones count as a nanosecond.
fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|v| v.max(1e-9).ln()).sum::<f64>() / values.len() as f64).exp()
}

fn points(name: &str, curve: &Curve) -> Vec<(String, Measured)> {
    curve.samples().iter().map(|s| (format!("{name} {} B, B/s", s.bytes), s.rate)).collect()
}

fn costs(o: &Overheads) -> Vec<(String, Measured)> {
    let named = [
        ("launch, s", o.launch_s),
        ("submission, s", o.submission_s),
        ("synchronisation, s", o.synchronisation_s),
        ("read-back, s", o.readback_s),
    ];
    named.map(|(name, m)| (name.to_owned(), m)).to_vec()
}

/// Compares two probes. Quantities of one probe alone are left out.
#[must_use]
pub fn agreement(a: &Machine, b: &Machine) -> Vec<Agreement> {
    compared(quantities(a), &quantities(b))
}

/// Compares quantities with others of the same name. Names of one side alone are left out.
#[must_use]
pub fn compared(these: Vec<(String, Measured)>, others: &[(String, Measured)]) -> Vec<Agreement> {
    let pair = |(quantity, a): (String, Measured)| {
        let b = others.iter().find(|(name, _)| *name == quantity)?.1;
        Some(Agreement { quantity, a, b, agree: overlap(a, b) })
    };
    these.into_iter().filter_map(pair).collect()
}

/// [`block_spread`] above which other programs used the machine during the measurement.
pub const MAX_BLOCK_SPREAD: f64 = 1.3;

/// Rate of the best block over rate of the median block, as the median over all ceilings: near 1 on an idle machine.
#[must_use]
pub fn block_spread(machine: &Machine) -> f64 {
    let rates = quantities(machine).into_iter().filter(|(name, _)| name.ends_with("/s"));
    let spreads: Vec<f64> = rates.map(|(_, m)| m.hi / m.value).collect();
    ridgeline_experiment::stats::median(&spreads).unwrap_or(1.0)
}

fn overlap(a: Measured, b: Measured) -> bool {
    let (low, high) = (1.0 - NOISE_FLOOR, 1.0 + NOISE_FLOOR);
    a.lo * low <= b.hi * high && b.lo * low <= a.hi * high
}

#[cfg(test)]
mod tests {
    use super::{agreement, overlap, quantities};
    use ridgeline_roofline::{Machine, Measured};

    #[test]
    fn intervals_agree_up_to_the_noise_floor() {
        let m = |lo: f64, hi: f64| Measured { value: f64::midpoint(lo, hi), lo, hi };
        assert!(overlap(m(1.0, 2.0), m(1.5, 3.0)));
        assert!(overlap(m(1.0, 2.0), m(2.1, 3.0)), "2.1 · 0.95 < 2.0 · 1.05");
        assert!(!overlap(m(1.0, 2.0), m(2.3, 3.0)) && !overlap(m(2.3, 3.0), m(1.0, 2.0)));
    }

    #[test]
    fn every_quantity_is_compared_by_name() {
        let (a, b) = (Machine::flat("a", 1e9, 1e12), Machine::flat("b", 2e9, 1e12));
        let (a, b) = (a.expect("positive"), b.expect("positive"));
        let compared = agreement(&a, &b);
        assert_eq!(compared.len(), quantities(&a).len());
        let disagree: Vec<&str> = compared.iter().filter(|c| !c.agree).map(|c| c.quantity.as_str()).collect();
        assert_eq!(disagree, ["read 1 B, B/s", "copy 1 B, B/s", "triad 1 B, B/s"]);
    }
}
