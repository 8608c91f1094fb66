//! The output head of a folder: tied to the embedding, or a matrix of its own.

use std::path::Path;

use crate::{
    Error, convention,
    entry::{Storage, TensorEntry},
    map::Map,
};

/// Values that are compared at a time.
const PIECE: usize = 1 << 16;

/// Removes a head that repeats the embedding, or takes it for an absent embedding, if config.json says that they are
/// tied. Another head than the embedding is used: the note says so.
///
/// # Errors
/// [`Error::MissingTensor`] for an untied model without a head.
pub(super) fn check(
    path: &Path,
    tied: bool,
    mut entries: Vec<TensorEntry>,
    maps: &[Map],
) -> Result<(Vec<TensorEntry>, Option<String>), Error> {
    let at = |name: &str| entries.iter().position(|it| it.name == name);
    let (embedding, head) = (at(convention::EMBEDDING), at(convention::OUTPUT));
    match (tied, embedding, head) {
        (false, _, None) => {
            Err(Error::MissingTensor { path: path.to_owned(), tensor: convention::OUTPUT.to_owned() })
        }
        // Some files store the one matrix under the name of the head.
        (true, None, Some(head)) => {
            convention::EMBEDDING.clone_into(&mut entries[head].name);
            Ok((entries, None))
        }
        (true, Some(embedding), Some(head)) => {
            if same(&entries[embedding], &entries[head], maps) {
                entries.remove(head);
                return Ok((entries, None));
            }
            let note = "config.json ties the output head to the embedding, but `lm_head.weight` differs from it: \
                        the stored head is used";
            Ok((entries, Some(note.to_owned())))
        }
        _ => Ok((entries, None)),
    }
}

/// Whether two tensors have the same values, in any type.
fn same(a: &TensorEntry, b: &TensorEntry, maps: &[Map]) -> bool {
    if a.shape != b.shape {
        return false;
    }
    let is_double = |it: &TensorEntry| matches!(it.storage, Storage::Double(_));
    if let (Some(left), Some(right)) = (a.storage.range(), b.storage.range())
        && a.format == b.format
        && is_double(a) == is_double(b)
    {
        return left.bytes(maps) == right.bytes(maps);
    }
    let n: usize = a.shape.iter().product();
    let bytes = |it: &TensorEntry| it.storage.bytes(maps).unwrap_or_default();
    let (left, right) = (bytes(a), bytes(b));
    let values = |it: &TensorEntry, bytes: &[u8], i: usize, n: usize| -> Vec<f32> {
        let spec = it.format.spec();
        let mut values = vec![0.0; n];
        let at = |i: usize| i / spec.block_len * spec.block_bytes;
        (spec.decode)(&bytes[at(i)..at(i + n)], &mut values);
        values
    };
    (0..n).step_by(PIECE).all(|i| {
        let n = PIECE.min(n - i);
        values(a, &left, i, n) == values(b, &right, i, n)
    })
}
