//! Re-encodes one tensor piece by piece on all cores, without a second copy of the whole tensor.

use std::{num::NonZero, path::Path, thread};

use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
use ridgeline_quant::{Format, Spec};

use crate::{Error, Tensor, gguf::Writer, random::normal};

/// Values per piece and thread.
const PIECE: usize = 1 << 16;

/// The buffers of one thread.
struct Worker {
    values: Vec<f32>,
    bytes: Vec<u8>,
}

/// Re-encodes a tensor, or copies it if the type is the same. `path` is the source, for errors.
pub(crate) fn write_tensor(
    writer: &mut Writer,
    path: &Path,
    tensor: &Tensor<'_>,
    format: Format,
) -> Result<(), Error> {
    if tensor.format == format {
        return writer.append(&tensor.bytes);
    }
    let (from, to) = (tensor.format.spec(), format.spec());
    let piece = PIECE.next_multiple_of(from.block_len * to.block_len);
    let piece_bytes = piece / from.block_len * from.block_bytes;
    let n_pieces = tensor.bytes.len().div_ceil(piece_bytes);
    let n_threads = thread::available_parallelism().map_or(1, NonZero::get).min(n_pieces);
    let mut workers: Vec<Worker> = (0..n_threads)
        .map(|_| Worker { values: vec![0.0; piece], bytes: vec![0; piece / to.block_len * to.block_bytes] })
        .collect();
    let mut done = 0;
    for group in tensor.bytes.chunks(piece_bytes * n_threads.max(1)) {
        let written = encode_group(&mut workers, group.chunks(piece_bytes), from, to);
        for (bytes, worker) in written.into_iter().zip(&workers) {
            let (n, bad) = bytes;
            if let Some(i) = bad {
                return Err(Error::NotFinite {
                    path: path.to_owned(),
                    tensor: tensor.name.to_owned(),
                    index: done + i as u64,
                    format: to.name,
                });
            }
            writer.append(&worker.bytes[..n / to.block_len * to.block_bytes])?;
            done += n as u64;
        }
    }
    Ok(())
}

/// Encodes one piece per worker; returns each piece's number of values, and its first value that is not finite.
fn encode_group<'a>(
    workers: &mut [Worker],
    pieces: impl Iterator<Item = &'a [u8]>,
    from: &Spec,
    to: &Spec,
) -> Vec<(usize, Option<usize>)> {
    thread::scope(|scope| {
        let mut running = Vec::with_capacity(workers.len());
        for (worker, piece) in workers.iter_mut().zip(pieces) {
            running.push(scope.spawn(move || worker.encode(piece, from, to)));
        }
        running.into_iter().map(|it| it.join().expect("an encoder does not panic")).collect()
    })
}

impl Worker {
    fn encode(&mut self, piece: &[u8], from: &Spec, to: &Spec) -> (usize, Option<usize>) {
        let n = piece.len() / from.block_bytes * from.block_len;
        let values = &mut self.values[..n];
        (from.decode)(piece, values);
        // F32, F16 and BF16 have infinities. In a block, one infinity would make the shared scale infinite.
        let bad = if to.block_len > 1 { values.iter().position(|it| !it.is_finite()) } else { None };
        if bad.is_none() {
            let encode = to.encode.expect("Plan::of checks that the type has an encoder");
            encode(values, &mut self.bytes[..n / to.block_len * to.block_bytes]);
        }
        (n, bad)
    }
}

/// Sample values per magnitude, a multiple of every block length.
const PER_MAGNITUDE: usize = 256;
/// Magnitudes in the sample, powers of two.
const MAGNITUDES: i32 = 32;

/// The encoded bytes of fixed values, which identify an encoder; empty for a type without one.
/// The values are normal ones of every magnitude that a binary16 scale can have, then zeros, then a constant.
pub(crate) fn sample(spec: &Spec) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let magnitude = |i: i32| 2.0_f32.powi(i - MAGNITUDES + 10);
    let mut values: Vec<f32> =
        (0..MAGNITUDES).flat_map(|i| [magnitude(i); PER_MAGNITUDE]).map(|it| it * normal(&mut rng)).collect();
    values.extend([0.0; PER_MAGNITUDE]);
    values.extend([-0.75; PER_MAGNITUDE]);
    let mut bytes = vec![0; values.len() / spec.block_len * spec.block_bytes];
    match spec.encode {
        Some(encode) => encode(&values, &mut bytes),
        None => bytes.clear(),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The F16 encoder with the last bit flipped in one small weight of 256.
    fn nearly(values: &[f32], bytes: &mut [u8]) {
        Format::HALF.spec().encode.unwrap()(values, bytes);
        for (i, value) in values.iter().enumerate().filter(|it| it.0 % 256 == 7) {
            bytes[2 * i] ^= u8::from(value.abs() < 1e-3);
        }
    }

    #[test]
    fn a_sample_distinguishes_encoders() {
        for format in Format::ALL.iter().filter(|it| it.spec().encode.is_some()) {
            let spec = format.spec();
            let bytes = sample(spec);
            let mut values = vec![0.0; PER_MAGNITUDE * 34];
            (spec.decode)(&bytes, &mut values);
            assert!(values.iter().all(|it| it.is_finite()), "{format}");
            assert!(
                values[PER_MAGNITUDE * 32..PER_MAGNITUDE * 33].iter().all(|&it| it == 0.0),
                "{format}: zeros stay zeros"
            );
            assert!(values[PER_MAGNITUDE * 33..].iter().all(|it| (it / -0.75 - 1.0).abs() < 0.2), "{format}");
        }
        let half = Format::HALF.spec();
        let changed = Spec { encode: Some(nearly), ..*half };
        assert_ne!(sample(half), sample(&changed));
        assert!(sample(&Spec { encode: None, ..*half }).is_empty());
    }
}
