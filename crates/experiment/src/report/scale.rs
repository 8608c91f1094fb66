//! Axes: mapping of values to pixels, and tick positions.

use super::number;

/// One tick; minor ticks have no label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: Option<String>,
}

/// Scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    Linear,
    Log10,
    /// Powers of two, for sizes in bytes.
    Log2,
}

/// An axis: a range of values over a range of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) lo: f64,
    pub(crate) hi: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) spread: Spread,
}

impl Scale {
    /// An axis around all values with a margin; `None` without a finite (on a log axis, positive) value.
    pub(crate) fn around(
        values: impl IntoIterator<Item = f64>,
        spread: Spread,
        px: (f64, f64),
    ) -> Option<Self> {
        let usable = |v: &f64| v.is_finite() && (spread == Spread::Linear || *v > 0.0);
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(usable) {
            lo = lo.min(value);
            hi = hi.max(value);
        }
        if lo > hi {
            return None;
        }
        match spread {
            Spread::Linear => {
                let low = if lo > 0.0 { 0.0 } else { lo };
                let span = if hi > low { hi - low } else { 1.0 };
                lo = if low < 0.0 { low - span * 0.05 } else { low };
                hi = low + span * 1.05;
            }
            Spread::Log10 => (lo, hi) = (lo / 1.6, hi * 1.6),
            Spread::Log2 => (lo, hi) = (lo / 1.3, hi * 1.3),
        }
        Some(Self { lo, hi, from: px.0, to: px.1, spread })
    }

    /// The pixel position of a value, which may lie outside the axis.
    pub(crate) fn px(&self, value: f64) -> f64 {
        let share = match self.spread {
            Spread::Linear => (value - self.lo) / (self.hi - self.lo),
            Spread::Log10 | Spread::Log2 => (value / self.lo).ln() / (self.hi / self.lo).ln(),
        };
        self.from + share * (self.to - self.from)
    }

    /// Ticks in ascending order; at least two of them have labels.
    ///
    /// A logarithmic axis that is too short for two powers has the ticks of a linear one at their logarithmic places.
    pub(crate) fn ticks(&self, unit: &str) -> Vec<Tick> {
        let ticks = match self.spread {
            Spread::Linear => self.linear_ticks(|v| number::tick(v, unit)),
            Spread::Log10 => self.decade_ticks(unit),
            Spread::Log2 => self.binary_ticks(),
        };
        if ticks.iter().filter(|tick| tick.label.is_some()).count() > 1 {
            return ticks;
        }
        match self.spread {
            Spread::Linear | Spread::Log10 => self.linear_ticks(|v| number::tick(v, unit)),
            Spread::Log2 => self.linear_ticks(|v| number::si(v, "B")),
        }
    }

    /// About six ticks at 1, 2 or 5 times a power of ten.
    fn linear_ticks(&self, label: impl Fn(f64) -> String) -> Vec<Tick> {
        let rough = (self.hi - self.lo) / 6.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
        let first = (self.lo / step).ceil();
        let values = (0..20).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= self.hi);
        values.map(|value| Tick { value, label: Some(label(value)) }).collect()
    }

    /// Labeled ticks at decades and unlabeled ones at their multiples; up to three decades, 2 and 5 are labeled too.
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite f64 lies within ±330")]
    fn decade_ticks(&self, unit: &str) -> Vec<Tick> {
        let decades = (self.hi / self.lo).log10();
        let every = (decades / 8.0).ceil().max(1.0) as i32;
        let mut ticks = Vec::new();
        for power in (self.lo.log10().floor() as i32)..=(self.hi.log10().floor() as i32) {
            for multiple in 1..10_i32 {
                let value = 10_f64.powi(power) * f64::from(multiple);
                let named = match multiple {
                    1 => power.rem_euclid(every) == 0,
                    2 | 5 => decades <= 3.0,
                    _ => false,
                };
                if (self.lo..=self.hi).contains(&value) && (every == 1 || multiple == 1) {
                    ticks.push(Tick { value, label: named.then(|| number::tick(value, unit)) });
                }
            }
        }
        ticks
    }

    /// Ticks at powers of two, about ten of them labeled.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes in bytes are below 2^63"
    )]
    fn binary_ticks(&self) -> Vec<Tick> {
        let (first, last) = (self.lo.max(1.0).log2().ceil() as i32, self.hi.max(1.0).log2().floor() as i32);
        let every = ((last - first) / 10 + 1).max(1);
        let tick = |power: i32| {
            let value = 2_f64.powi(power);
            let label = (power.rem_euclid(every) == 0).then(|| number::bytes(value as u64));
            Tick { value, label }
        };
        (first..=last).map(tick).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, Spread};

    fn labels(lo: f64, hi: f64, spread: Spread, unit: &str) -> Vec<String> {
        let scale = Scale { lo, hi, from: 0.0, to: 100.0, spread };
        scale.ticks(unit).into_iter().filter_map(|t| t.label).collect()
    }

    #[test]
    fn ticks_stand_at_round_values() {
        assert_eq!(
            labels(0.0, 1.05, Spread::Linear, "s"),
            ["0 s", "200 ms", "400 ms", "600 ms", "800 ms", "1 s"]
        );
        assert_eq!(
            labels(0.5, 200.0, Spread::Log10, ""),
            ["0.5", "1", "2", "5", "10", "20", "50", "100", "200"]
        );
        assert_eq!(
            labels(1e6, 2e10, Spread::Log10, "B/s"),
            ["1 MB/s", "10 MB/s", "100 MB/s", "1 GB/s", "10 GB/s"]
        );
        assert_eq!(labels(1000.0, 9000.0, Spread::Log2, "B"), ["1 KiB", "2 KiB", "4 KiB", "8 KiB"]);
        assert!(labels(1.0, 1e12, Spread::Log10, "").len() <= 8, "labels thin out over many decades");
    }

    #[test]
    fn a_short_logarithmic_axis_has_two_labels() {
        assert_eq!(labels(1.1, 1.9, Spread::Log10, ""), ["1.2", "1.4", "1.6", "1.8"]);
        assert!(labels(2.1, 2.3, Spread::Log10, "s").len() > 2);
        assert!(labels(70e6, 130e6, Spread::Log2, "B").len() > 1);
        for start in 1..60_u32 {
            let lo = 0.13 * f64::from(start);
            for spread in [Spread::Log10, Spread::Log2] {
                let scale = Scale::around([lo * 1e3], spread, (0.0, 1.0)).expect("one value is enough");
                let count = scale.ticks("").into_iter().filter(|t| t.label.is_some()).count();
                assert!(count > 1, "{lo} {spread:?}: {count}");
            }
        }
    }

    #[test]
    fn pixels_follow_the_logarithm() {
        let s = Scale { lo: 1.0, hi: 100.0, from: 0.0, to: 200.0, spread: Spread::Log10 };
        assert!((s.px(10.0) - 100.0).abs() < 1e-9);
        assert!(Scale::around([f64::NAN, 0.0, -1.0], Spread::Log10, (0.0, 1.0)).is_none());
        let flat = Scale::around([3.0, 3.0], Spread::Linear, (0.0, 1.0)).expect("one value is enough");
        assert!(flat.lo == 0.0 && (flat.hi - 3.15).abs() < 1e-9, "{flat:?}");
    }
}
