//! Random weights, fast: tensors are copied in runs from one table of encoded normal values.

use std::collections::HashMap;

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use ridgeline_quant::Format;

/// Values in the table; a multiple of every block length.
const TABLE: usize = 1 << 18;
/// The longest run that is copied from the table. Runs start at random blocks, so rows differ.
const RUN: usize = 1 << 13;
/// The standard deviation that most published models initialize their matrices with.
const DEVIATION: f32 = 0.02;

/// Generates the tensors of a random checkpoint.
#[derive(Debug)]
pub(crate) struct Generator {
    seed: u64,
    /// The same `TABLE` values in every type that has an encoder, and others in types without one.
    tables: HashMap<Format, Vec<u8>>,
}

impl Generator {
    /// A generator for matrices of these types.
    pub(crate) fn new(matrices: impl IntoIterator<Item = Format>, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let values: Vec<f32> = (0..TABLE).map(|_| normal(&mut rng) * DEVIATION).collect();
        let mut tables = HashMap::new();
        for format in matrices {
            if tables.contains_key(&format) {
                continue;
            }
            let spec = format.spec();
            let mut bytes = vec![0; TABLE / spec.block_len * spec.block_bytes];
            if let Some(encode) = spec.encode {
                encode(&values, &mut bytes);
            } else {
                // The values of these types are other ones, between about -2 and 2.
                rng.fill_bytes(&mut bytes);
                (spec.bound_scales)(&mut bytes);
            }
            tables.insert(format, bytes);
        }
        Self { seed, tables }
    }

    /// The bytes of one tensor. They depend on the seed, the name and the format only.
    pub(crate) fn draw(&self, name: &str, shape: &[usize], format: Format) -> Vec<u8> {
        let n: usize = shape.iter().product();
        let spec = format.spec();
        let mut bytes = vec![0; n / spec.block_len * spec.block_bytes];
        if shape.len() < 2 {
            let encode = spec.encode.expect("single precision has an encoder");
            let value = match name {
                // The decay of Gated DeltaNet is exp(ssm_a · softplus(…)): 0.5 with these values and an input of 0.
                it if it.ends_with("ssm_a") => -1.0,
                it if it.ends_with(".bias") => 0.0,
                _ => 1.0,
            };
            encode(&vec![value; n], &mut bytes);
            return bytes;
        }
        let table = self.tables.get(&format).expect("Generator::new has the types of all matrices");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed ^ hash(name));
        let blocks = |values: usize| values / spec.block_len;
        for run in bytes.chunks_mut(blocks(RUN) * spec.block_bytes) {
            let starts = (blocks(TABLE) - blocks(RUN)) as u64;
            let start = usize::try_from(rng.next_u64() % starts).expect("the table fits in memory")
                * spec.block_bytes;
            run.copy_from_slice(&table[start..start + run.len()]);
        }
        bytes
    }
}

/// Roughly standard normal: the sum of four uniform 16-bit numbers, the same on every machine.
pub(crate) fn normal(rng: &mut impl Rng) -> f32 {
    let bits = rng.next_u64();
    let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
    let sum = u32::try_from(sum).expect("four 16-bit numbers sum to less than 32 bits");
    let centred = f64::from(sum) - 2.0 * 65_535.0;
    crate::value::narrow(centred / (65_536.0 / 3.0_f64.sqrt()))
}

/// FNV-1a: unlike the standard hasher, stable across machines and releases.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_roughly_normal_and_repeatable() {
        let generator = Generator::new([Format::SINGLE], 7);
        let draw = |name| generator.draw(name, &[64, 1024], Format::SINGLE);
        let bytes = draw("w");
        assert_eq!(bytes, draw("w"));
        assert_ne!(bytes, draw("v"));
        let mut values = vec![0.0; 64 * 1024];
        (Format::SINGLE.spec().decode)(&bytes, &mut values);
        let n = values.len() as f64;
        let mean = values.iter().map(|&it| f64::from(it)).sum::<f64>() / n;
        let variance = values.iter().map(|&it| (f64::from(it) - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5e-4, "{mean}");
        assert!((variance.sqrt() / 0.02 - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn each_format_has_the_same_values_and_norms_are_one() {
        let formats = || Format::ALL.iter().copied().filter(|it| it.spec().encode.is_some());
        let all = Generator::new(formats(), 1);
        for format in formats() {
            let alone = Generator::new([format, format], 1);
            let bytes = all.draw("w", &[2, 256], format);
            assert_eq!(bytes.len() as u64, format.bytes(512));
            assert_eq!(bytes, alone.draw("w", &[2, 256], format), "{format}: depends on the other types");
        }
        let ones = [1.0_f32.to_le_bytes(), 1.0_f32.to_le_bytes()].concat();
        assert_eq!(all.draw("n", &[2], Format::SINGLE), ones);
    }

    #[test]
    fn types_without_an_encoder_get_bounded_values() {
        let none = Format::ALL.iter().copied().find(|it| it.spec().encode.is_none()).unwrap();
        let bytes = Generator::new([none], 1).draw("w", &[2, 256], none);
        let mut values = vec![0.0; 512];
        (none.spec().decode)(&bytes, &mut values);
        let largest = values.iter().fold(0.0, |most: f32, it| most.max(it.abs()));
        assert!((0.1..=2.0).contains(&largest), "{largest}");
    }
}
