//! Bandwidth as a function of the working-set size, with an interval at every point.
//!
//! Between two measured sizes the curve is a straight line in log size and log rate, which is monotone and
//! cannot overshoot; beyond the ends it stays at the end value.

use crate::Error;
use serde::{Deserialize, Serialize};

/// A measured positive quantity with its 95 % interval, in the unit that the holder names.
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
    /// A value that is known exactly, such as a printed specification.
    #[must_use]
    pub const fn exact(value: f64) -> Self {
        Self { value, lo: value, hi: value }
    }

    /// Checks that the value is positive, finite and inside its interval.
    ///
    /// # Errors
    /// [`Error::BadCeiling`], naming `what`, when it is not.
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
    /// Working-set size in bytes: everything the kernel touches before it touches it again.
    pub bytes: u64,
    /// Bandwidth in bytes/s, counting every byte read and every byte written once.
    pub rate: Measured,
}

/// Bandwidth against working-set size; sizes rise strictly and there is at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Sample>", into = "Vec<Sample>")]
pub struct Curve(Vec<Sample>);

impl Curve {
    /// A curve through `samples`, sorted by strictly rising size.
    ///
    /// # Errors
    /// When there are no samples, when sizes do not rise, or when a rate is not a positive finite number.
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
        let span = (right.bytes as f64).ln() - (left.bytes as f64).ln();
        let t = ((bytes as f64).ln() - (left.bytes as f64).ln()) / span;
        let mix = |a: f64, b: f64| {
            (a.max(f64::MIN_POSITIVE).ln() * (1.0 - t) + b.max(f64::MIN_POSITIVE).ln() * t).exp()
        };
        Measured {
            value: mix(left.rate.value, right.rate.value),
            lo: mix(left.rate.lo, right.rate.lo),
            hi: mix(left.rate.hi, right.rate.hi),
        }
    }

    /// The fastest bandwidth, in bytes/s, that the measurements allow at `bytes`.
    ///
    /// A cache may end anywhere between two measured sizes, so this is the larger upper end of the two
    /// neighbours: the number to divide by where the result has to be a floor.
    #[must_use]
    pub fn upper(&self, bytes: u64) -> f64 {
        let (left, right) = self.bracket(bytes);
        left.rate.hi.max(right.rate.hi)
    }

    /// The neighbours of `bytes`; the same point twice on a measured size and beyond the ends.
    fn bracket(&self, bytes: u64) -> (Sample, Sample) {
        let after = self.0.partition_point(|s| s.bytes < bytes);
        match (after.checked_sub(1).map(|i| self.0[i]), self.0.get(after).copied()) {
            (_, Some(right)) if right.bytes == bytes => (right, right),
            (Some(left), Some(right)) => (left, right),
            (Some(end), None) | (None, Some(end)) => (end, end),
            (None, None) => unreachable!("a curve has at least one point by construction"),
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
    /// Reading only: what decoding does with its weights.
    pub read: Curve,
    /// `b = a`: one byte read and one written per byte of payload, both counted.
    pub copy: Curve,
    /// `a = b + s·c` (`McCalpin`'s STREAM triad): two streams read and one written, all three counted.
    pub triad: Curve,
}

impl Bandwidth {
    /// The best of the three curves at a working set of `bytes`, in bytes/s.
    #[must_use]
    pub fn at(&self, bytes: u64) -> Measured {
        let [read, copy, triad] = self.curves().map(|c| c.at(bytes));
        [copy, triad].into_iter().fold(read, |best, next| if next.value > best.value { next } else { best })
    }

    /// The fastest rate that any of the three allows at `bytes`; see [`Curve::upper`].
    #[must_use]
    pub fn upper(&self, bytes: u64) -> f64 {
        self.curves().into_iter().map(|c| c.upper(bytes)).fold(0.0, f64::max)
    }

    /// Bandwidth of memory itself: the best rate at the largest size measured, in bytes/s.
    #[must_use]
    pub fn memory(&self) -> Measured {
        let largest = self.curves().into_iter().filter_map(|c| c.samples().last()).map(|s| s.bytes).max();
        self.at(largest.unwrap_or(u64::MAX))
    }

    /// Bandwidth of the fastest level: the best rate at any size measured, in bytes/s.
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
