//! One tensor from its format to another, piece by piece on all cores, so that no second copy is ever whole.

use std::{num::NonZero, path::Path, thread};

use ridgeline_quant::{Format, Spec};

use crate::{Error, Tensor, gguf::Writer};

/// Values that one thread re-encodes at once.
const PIECE: usize = 1 << 16;

/// What one thread works in.
struct Worker {
    values: Vec<f32>,
    bytes: Vec<u8>,
}

/// Re-encodes a tensor, or copies it if it keeps its format. `path` is where the tensor came from.
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

/// One piece for each worker: how many values it had, and the first that the format cannot hold.
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
        // Formats of single values have their own infinities; a block shares a scale, which would be one.
        let bad = if to.block_len > 1 { values.iter().position(|it| !it.is_finite()) } else { None };
        if bad.is_none() {
            let encode = to.encode.expect("the plan was checked to have encoders");
            encode(values, &mut self.bytes[..n / to.block_len * to.block_bytes]);
        }
        (n, bad)
    }
}
