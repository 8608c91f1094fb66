//! Rotary position embedding (Su et al. 2021): hyperparameters, and the table of cosines and sines on a device.

use crate::Error;
use crate::keys::Keys;
use ridgeline_compute::{Buffer, Executor, Role, Slice};
use ridgeline_kernels::rope::Pairing;
use ridgeline_weights::RopePairing;

/// Rotary position embedding of some layers.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Which values of a head form a pair.
    pub pairing: Pairing,
    /// θ: the base of the frequencies.
    pub base: f32,
    /// How many values of each head are rotated.
    pub rotary: u32,
    /// Divisors of the frequencies, one per pair, for models that scale them.
    pub factors: Option<Vec<f32>>,
    /// Multiplier of cosines and sines, 1 in most models (`YaRN`, Peng et al. 2023).
    pub magnitude: f32,
}

impl RopeConfig {
    /// Reads the rotation of heads of `key` values that most families store under the same keys.
    ///
    /// # Errors
    /// A rotation that no kernel can obey.
    pub fn read(keys: Keys<'_>, key: u32) -> Result<Self, Error> {
        let pairing = match keys.checkpoint().rope_pairing()? {
            RopePairing::Interleaved => Pairing::Interleaved,
            RopePairing::HalfSplit => Pairing::HalfSplit,
        };
        let rotary = keys.size_or("rope.dimension_count", key)?;
        let rule = "it must be even and at most key_length";
        keys.check("rope.dimension_count", rotary, rotary.is_multiple_of(2) && rotary <= key, rule)?;
        let base = keys.number_or("rope.freq_base", 10_000.0)?;
        let (factors, magnitude) =
            (keys.checkpoint().rope_freq_factors()?, keys.checkpoint().rope_magnitude()?);
        let rope = Self { pairing, base, rotary, factors, magnitude };
        let factors = rope.factors.as_ref().map_or(rotary as usize / 2, Vec::len);
        let holds = factors == rotary as usize / 2 && base > 0.0;
        keys.check(
            "rope",
            format!("{rope:?}"),
            holds,
            "it must have one factor per pair and a positive base",
        )?;
        Ok(rope)
    }

    /// Cosines and sines for `positions` positions: `[positions, rotary / 2, 2]`.
    ///
    /// Frequency of pair i: base^(−2i / rotary) / factor (Su et al. 2021). Both are multiplied by the magnitude, so that
    /// scores grow by its square. Computed in f64 on the host,
    /// because the sine of a shader loses accuracy at large angles.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the table is f32")]
    pub fn table(&self, positions: usize) -> Vec<f32> {
        let frequency = |i: u32| {
            let scale = self.factors.as_ref().and_then(|f| f.get(i as usize)).map_or(1.0, |&f| f64::from(f));
            f64::from(self.base).powf(-2.0 * f64::from(i) / f64::from(self.rotary)) / scale
        };
        let frequencies: Vec<f64> = (0..self.rotary / 2).map(frequency).collect();
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        let magnitude = f64::from(self.magnitude);
        angles.flat_map(|a| [(magnitude * a.cos()) as f32, (magnitude * a.sin()) as f32]).collect()
    }
}

/// A rotation on a device.
#[derive(Debug)]
pub(crate) struct RopeTable {
    buffer: Buffer,
    pub(crate) pairing: Pairing,
    /// How many values of each head are rotated.
    pub(crate) rotary: u32,
}

impl RopeTable {
    /// Uploads the table of `positions` positions.
    pub(crate) fn new(
        executor: &mut dyn Executor,
        config: &RopeConfig,
        positions: usize,
    ) -> Result<Self, Error> {
        let values = config.table(positions);
        let buffer = executor.alloc(4 * values.len().max(1) as u64, Role::Activation, "rope table")?;
        executor.write(buffer.all(), bytemuck::cast_slice(&values))?;
        Ok(Self { buffer, pairing: config.pairing, rotary: config.rotary })
    }

    pub(crate) fn slice(&self) -> Slice {
        self.buffer.all()
    }
}
