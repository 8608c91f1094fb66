//! Random inputs for twin tests and kernel benchmarks, from a seed so that failures are reproducible.

use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Parameters and binding contents of one launch.
///
/// A write binding has an empty vector. The test sizes it and fills it with a poison value.
#[derive(Clone, Debug)]
pub struct TestInput<P> {
    /// The launch's parameters.
    pub params: P,
    /// One vector of 32-bit words per binding.
    pub bindings: Vec<Vec<u32>>,
}

/// A seeded random number generator for test data.
#[derive(Clone, Debug)]
pub struct TestRng(Xoshiro256PlusPlus);

impl TestRng {
    /// A generator from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number in `[low, high]`.
    pub fn range(&mut self, low: u32, high: u32) -> u32 {
        self.0.random_range(low..=high)
    }

    /// One of the given values.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    /// A float, uniform in `[-1, 1)`.
    pub fn float(&mut self) -> f32 {
        self.0.random_range(-1.0..1.0)
    }

    /// `n` floats, uniform in `[-1, 1)`.
    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }

    /// `n` floats as words.
    pub fn words(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.float().to_bits()).collect()
    }

    /// Raw random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }
}
