//! The cost of device work: unique bytes by role, floating-point operations and launches.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};

/// Bytes and operations of one launch, or the sum over many.
///
/// Bytes are *unique*: a value that several workgroups read counts once. They are the least that memory must deliver,
/// as the roofline model requires. Operations count a multiply-add as two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Bytes of model weights read.
    pub weights: u64,
    /// Bytes of the key/value cache read.
    pub kv_read: u64,
    /// Bytes of the key/value cache written.
    pub kv_write: u64,
    /// Bytes of activations and scratch read.
    pub activation_read: u64,
    /// Bytes of activations and scratch written.
    pub activation_write: u64,
    /// Floating-point operations (a multiply-add is two).
    pub flops: u64,
    /// Kernel launches.
    pub launches: u64,
}

impl Cost {
    /// No work.
    pub const ZERO: Self = Self {
        weights: 0,
        kv_read: 0,
        kv_write: 0,
        activation_read: 0,
        activation_write: 0,
        flops: 0,
        launches: 0,
    };

    /// The cost on the line through `self` and `to`, `by` times their difference beyond `to`.
    ///
    /// The costs of a model with two numbers of layers give that of any other: each layer costs the same.
    #[must_use]
    pub fn extrapolated(&self, to: &Self, by: f64) -> Self {
        let line = |a: u64, b: u64| {
            let value = (b as f64 + by * (b as f64 - a as f64)).round().max(0.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "float to integer casts saturate"
            )]
            let value = value as u64;
            value
        };
        Self {
            weights: line(self.weights, to.weights),
            kv_read: line(self.kv_read, to.kv_read),
            kv_write: line(self.kv_write, to.kv_write),
            activation_read: line(self.activation_read, to.activation_read),
            activation_write: line(self.activation_write, to.activation_write),
            flops: line(self.flops, to.flops),
            launches: line(self.launches, to.launches),
        }
    }

    /// The `n`-th part, rounded down: the mean over `n` launches.
    #[must_use]
    pub fn shared_by(&self, n: u64) -> Self {
        let n = n.max(1);
        Self {
            weights: self.weights / n,
            kv_read: self.kv_read / n,
            kv_write: self.kv_write / n,
            activation_read: self.activation_read / n,
            activation_write: self.activation_write / n,
            flops: self.flops / n,
            launches: self.launches / n,
        }
    }

    /// All bytes moved, read and written.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.weights + self.kv_read + self.kv_write + self.activation_read + self.activation_write
    }

    /// Operational intensity in FLOP/byte (Williams, Waterman, Patterson 2009). `None` without any bytes.
    #[must_use]
    pub fn intensity(&self) -> Option<f64> {
        (self.bytes() > 0).then(|| self.flops as f64 / self.bytes() as f64)
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            weights: self.weights + o.weights,
            kv_read: self.kv_read + o.kv_read,
            kv_write: self.kv_write + o.kv_write,
            activation_read: self.activation_read + o.activation_read,
            activation_write: self.activation_write + o.activation_write,
            flops: self.flops + o.flops,
            launches: self.launches + o.launches,
        }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}
