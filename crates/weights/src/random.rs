//! Weights drawn at random, fast: a table of encoded normal values is drawn once, and tensors are tiled from it.

use std::path::Path;

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use ridgeline_quant::Format;

use crate::Error;

/// Values in the table; a multiple of every block length.
const TABLE: usize = 1 << 18;
/// The longest run that is copied from the table at once. Runs start anywhere, so that no two rows are equal.
const RUN: usize = 1 << 13;
/// The deviation that most published models initialise their matrices with.
const DEVIATION: f32 = 0.02;

/// Draws the tensors of a random checkpoint.
#[derive(Debug)]
pub(crate) struct Generator {
    matrix: Format,
    seed: u64,
    /// `TABLE` values encoded in the wanted format, and in the one that ragged rows fall back to.
    tables: Vec<(Format, Vec<u8>)>,
}

impl Generator {
    pub(crate) fn new(path: &Path, matrix: Format, seed: u64) -> Result<Self, Error> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let values: Vec<f32> = (0..TABLE).map(|_| normal(&mut rng) * DEVIATION).collect();
        let mut tables = Vec::new();
        for format in [matrix, Format::HALF] {
            let encode = format.spec().encode.ok_or_else(|| Error::NoEncoder {
                path: path.to_owned(),
                tensor: "*".to_owned(),
                format: format.spec().name,
            })?;
            let spec = format.spec();
            let mut bytes = vec![0; TABLE / spec.block_len * spec.block_bytes];
            encode(&values, &mut bytes);
            tables.push((format, bytes));
        }
        Ok(Self { matrix, seed, tables })
    }

    /// Vectors are kept in single precision; a matrix whose rows do not fill blocks falls back to half.
    pub(crate) fn format_for(&self, shape: &[usize]) -> Format {
        match shape {
            [_, .., n_cols] if n_cols.is_multiple_of(self.matrix.spec().block_len) => self.matrix,
            [_, .., _] => Format::HALF,
            _ => Format::SINGLE,
        }
    }

    /// The bytes of one tensor. They depend on the seed and the name only.
    pub(crate) fn draw(&self, name: &str, shape: &[usize]) -> Vec<u8> {
        let format = self.format_for(shape);
        let n: usize = shape.iter().product();
        let spec = format.spec();
        let mut bytes = vec![0; n / spec.block_len * spec.block_bytes];
        if shape.len() < 2 {
            // Vectors of the families here are the weights of norms.
            let encode = spec.encode.expect("single precision has an encoder");
            encode(&vec![1.0; n], &mut bytes);
            return bytes;
        }
        let (_, table) =
            self.tables.iter().find(|(it, _)| *it == format).expect("a matrix has one of two formats");
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

/// Nearly normal with deviation one: the sum of four uniform 16-bit numbers, exact on every machine.
fn normal(rng: &mut impl Rng) -> f32 {
    let bits = rng.next_u64();
    let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
    let sum = u32::try_from(sum).expect("four 16-bit numbers sum to less than 32 bits");
    let centred = f64::from(sum) - 2.0 * 65_535.0;
    crate::metadata::narrow(centred / (65_536.0 / 3.0_f64.sqrt()))
}

/// FNV-1a: stable across machines and releases, unlike the standard hasher.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_roughly_normal_and_repeatable() {
        let generator = Generator::new(Path::new("x"), Format::SINGLE, 7).unwrap();
        let bytes = generator.draw("w", &[64, 1024]);
        assert_eq!(bytes, generator.draw("w", &[64, 1024]));
        assert_ne!(bytes, generator.draw("v", &[64, 1024]));
        let mut values = vec![0.0; 64 * 1024];
        (Format::SINGLE.spec().decode)(&bytes, &mut values);
        let n = values.len() as f64;
        let mean = values.iter().map(|&it| f64::from(it)).sum::<f64>() / n;
        let variance = values.iter().map(|&it| (f64::from(it) - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5e-4, "{mean}");
        assert!((variance.sqrt() / 0.02 - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn ragged_rows_fall_back_and_norms_are_one() {
        for &format in Format::ALL.iter().filter(|it| it.spec().encode.is_some()) {
            let generator = Generator::new(Path::new("x"), format, 1).unwrap();
            assert_eq!(generator.format_for(&[3, 256]), format);
            assert_eq!(generator.format_for(&[3, 33]).bytes(33), generator.draw("w", &[1, 33]).len() as u64);
            assert_eq!(generator.draw("n", &[2]), [1.0_f32.to_le_bytes(), 1.0_f32.to_le_bytes()].concat());
        }
    }
}
