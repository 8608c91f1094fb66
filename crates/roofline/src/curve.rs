//! Bandwidth as a function of the working-set size, with a 95 % interval at every point.
//!
//! Between two measured sizes the curve is linear in log size and log rate, so it is monotone and cannot overshoot.
//! Beyond the ends it is constant.

use crate::Error;
use serde::{Deserialize, Serialize};

/// A measured positive quantity with its 95 % interval. The field that holds it gives the unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The estimate.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub lo: f64,
    /// Upper end of the 95 % interval.
    pub hi: f64,
}

impl Measured {
    /// An exact value, such as a data sheet's.
    #[must_use]
    pub const fn exact(value: f64) -> Self {
        Self { value, lo: value, hi: value }
    }

    /// The ratio to another positive value, with the widest interval: the ends of one over the opposite ends of the other.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        let low = f64::MIN_POSITIVE;
        Self { value: self.value / other.value, lo: self.lo / other.hi, hi: self.hi / other.lo.max(low) }
    }

    /// The difference to another value, with the widest interval.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { value: self.value - other.value, lo: self.lo - other.hi, hi: self.hi - other.lo }
    }

    /// The image under a monotone function.
    #[must_use]
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let (a, b) = (f(self.lo), f(self.hi));
        Self { value: f(self.value), lo: a.min(b), hi: a.max(b) }
    }

    /// Checks that the value is positive, finite and inside its interval.
    ///
    /// # Errors
    /// [`Error::BadCeiling`], with `what` as the name of the ceiling.
    pub fn checked(self, what: &'static str) -> Result<Self, Error> {
        let ordered = 0.0 < self.value && self.lo <= self.value && self.value <= self.hi;
        if ordered && self.lo >= 0.0 && self.hi.is_finite() {
            return Ok(self);
        }
        Err(Error::BadCeiling { what, value: self.value, lo: self.lo, hi: self.hi })
    }
}

/// One point of a curve: a working-set size and the bandwidth measured there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Working-set size in bytes: the memory that the kernel accesses before it repeats an access.
    pub bytes: u64,
    /// Bandwidth in bytes/s. Bytes read and bytes written count once each.
    pub rate: Measured,
}

/// Bandwidth by working-set size. There is at least one point, and sizes rise strictly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Sample>", into = "Vec<Sample>")]
pub struct Curve(Vec<Sample>);

impl Curve {
    /// A curve through `samples`, which must be sorted by strictly rising size.
    ///
    /// # Errors
    /// There are no samples, sizes do not rise, or a rate is not positive and finite.
    pub fn new(samples: Vec<Sample>) -> Result<Self, Error> {
        if samples.is_empty() {
            return Err(Error::EmptyCurve);
        }
        for pair in samples.windows(2) {
            if pair[0].bytes >= pair[1].bytes {
                return Err(Error::UnsortedCurve { previous: pair[0].bytes, next: pair[1].bytes });
            }
        }
        for sample in &samples {
            sample.rate.checked("bandwidth")?;
        }
        Ok(Self(samples))
    }

    /// The measured points, by rising size.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// Bandwidth in bytes/s at a working set of `bytes`.
    #[must_use]
    pub fn at(&self, bytes: u64) -> Measured {
        let (left, right) = self.bracket(bytes);
        if left.bytes == right.bytes {
            return left.rate;
        }
        let log_width = (right.bytes as f64).ln() - (left.bytes as f64).ln();
        let t = ((bytes as f64).ln() - (left.bytes as f64).ln()) / log_width;
        // An interval may reach zero, whose logarithm is infinite.
        let interpolate = |a: f64, b: f64| {
            (a.max(f64::MIN_POSITIVE).ln() * (1.0 - t) + b.max(f64::MIN_POSITIVE).ln() * t).exp()
        };
        Measured {
            value: interpolate(left.rate.value, right.rate.value),
            lo: interpolate(left.rate.lo, right.rate.lo),
            hi: interpolate(left.rate.hi, right.rate.hi),
        }
    }

    /// An upper bound of the bandwidth at `bytes`, in bytes/s. Floors divide by it.
    ///
    /// The bound is the larger upper end of the two neighbours' intervals, because a cache may end anywhere between two
    /// measured sizes.
    #[must_use]
    pub fn upper(&self, bytes: u64) -> f64 {
        let (left, right) = self.bracket(bytes);
        left.rate.hi.max(right.rate.hi)
    }

    /// The curve with upper bounds of at least `rate` at the neighbors of `bytes`: a faster access was seen there.
    #[must_use]
    pub fn raised(&self, bytes: u64, rate: f64) -> Self {
        let (left, right) = self.bracket(bytes);
        let raise = |s: &Sample| {
            let near = s.bytes == left.bytes || s.bytes == right.bytes;
            Sample {
                rate: Measured { hi: if near { s.rate.hi.max(rate) } else { s.rate.hi }, ..s.rate },
                ..*s
            }
        };
        Self(self.0.iter().map(raise).collect())
    }

    /// The neighbors of `bytes`. On a measured size and beyond the ends, both are the same point.
    fn bracket(&self, bytes: u64) -> (Sample, Sample) {
        let after = self.0.partition_point(|s| s.bytes < bytes);
        match (after.checked_sub(1).map(|i| self.0[i]), self.0.get(after).copied()) {
            (_, Some(right)) if right.bytes == bytes => (right, right),
            (Some(left), Some(right)) => (left, right),
            (Some(end), None) | (None, Some(end)) => (end, end),
            (None, None) => unreachable!("`Curve::new` requires at least one point"),
        }
    }
}

impl TryFrom<Vec<Sample>> for Curve {
    type Error = Error;
    fn try_from(samples: Vec<Sample>) -> Result<Self, Error> {
        Self::new(samples)
    }
}

impl From<Curve> for Vec<Sample> {
    fn from(curve: Curve) -> Self {
        curve.0
    }
}

/// The three measured bandwidth curves of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Reads only, as decoding reads the weights.
    pub read: Curve,
    /// `b = a`. Each byte of payload counts twice: read and written.
    pub copy: Curve,
    /// `a = b + s·c` (STREAM triad, `McCalpin` 1995). Two streams read and one written, and all three count.
    pub triad: Curve,
}

impl Bandwidth {
    /// The best of the three curves at a working set of `bytes`, in bytes/s.
    #[must_use]
    pub fn at(&self, bytes: u64) -> Measured {
        let [read, copy, triad] = self.curves().map(|c| c.at(bytes));
        [copy, triad].into_iter().fold(read, |best, next| if next.value > best.value { next } else { best })
    }

    /// The largest upper bound of the three curves at `bytes`, in bytes/s (see [`Curve::upper`]).
    #[must_use]
    pub fn upper(&self, bytes: u64) -> f64 {
        self.curves().into_iter().map(|c| c.upper(bytes)).fold(0.0, f64::max)
    }

    /// Bandwidth of device memory: the best rate at the largest size measured, in bytes/s.
    #[must_use]
    pub fn memory(&self) -> Measured {
        let largest = self.curves().into_iter().filter_map(|c| c.samples().last()).map(|s| s.bytes).max();
        self.at(largest.unwrap_or(u64::MAX))
    }

    /// Bandwidth of the fastest cache level: the best rate at any size measured, in bytes/s.
    #[must_use]
    pub fn fastest(&self) -> Measured {
        let all = self.curves().into_iter().flat_map(|c| c.samples());
        all.map(|s| s.rate)
            .fold(self.memory(), |best, next| if next.value > best.value { next } else { best })
    }

    /// The curves in the order read, copy, triad.
    fn curves(&self) -> [&Curve; 3] {
        [&self.read, &self.copy, &self.triad]
    }
}
