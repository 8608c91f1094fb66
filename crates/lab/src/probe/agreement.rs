//! Whether two probes of a device agree: quantity by quantity, within their own intervals.

use ridgeline_roofline::{Curve, Machine, Measured};
use serde::{Deserialize, Serialize};

/// Share by which intervals are widened before they are compared: what a host that other programs share adds between
/// two runs that a single run of seconds cannot see.
pub const NOISE_FLOOR: f64 = 0.05;

/// One quantity in two probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its name and unit.
    pub quantity: String,
    /// In the first probe.
    pub a: Measured,
    /// In the second probe.
    pub b: Measured,
    /// Whether the intervals, each widened by [`NOISE_FLOOR`], have a point in common.
    pub agree: bool,
}

/// Every measured quantity of a machine by name, in bytes/s, FLOP/s or seconds.
#[must_use]
pub fn quantities(machine: &Machine) -> Vec<(String, Measured)> {
    let curve = |name: &'static str, curve: &Curve| -> Vec<(String, Measured)> {
        curve.samples().iter().map(|s| (format!("{name} {} B, B/s", s.bytes), s.rate)).collect()
    };
    let mut all = curve("read", &machine.bandwidth.read);
    all.extend(curve("copy", &machine.bandwidth.copy));
    all.extend(curve("triad", &machine.bandwidth.triad));
    all.push(("f32 products, FLOP/s".to_owned(), machine.flops_f32));
    all.extend(machine.flops_f16.map(|m| ("f16 products, FLOP/s".to_owned(), m)));
    let o = machine.overheads;
    all.push(("launch, s".to_owned(), o.launch_s));
    all.push(("submission, s".to_owned(), o.submission_s));
    all.push(("synchronisation, s".to_owned(), o.synchronisation_s));
    all.push(("read-back, s".to_owned(), o.readback_s));
    all
}

/// Holds two probes against each other; quantities that only one of them has are left out.
#[must_use]
pub fn agreement(a: &Machine, b: &Machine) -> Vec<Agreement> {
    let others = quantities(b);
    let pair = |(quantity, a): (String, Measured)| {
        let b = others.iter().find(|(name, _)| *name == quantity)?.1;
        Some(Agreement { quantity, a, b, agree: overlap(a, b) })
    };
    quantities(a).into_iter().filter_map(pair).collect()
}

/// Spread of the ceilings above which a machine was busy with something else while it was measured.
pub const UNREST: f64 = 1.3;

/// By what factor the best block of a typical ceiling exceeds its median block: 1 on a machine of its own.
#[must_use]
pub fn unrest(machine: &Machine) -> f64 {
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
