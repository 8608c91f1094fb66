//! Device words (`u32`): padding of rows, and copies between words and bytes in file order.

/// Rounds a row up to whole 16-byte units, in words.
pub(crate) const fn pad_words(words: usize) -> usize {
    words.next_multiple_of(4)
}

/// Writes bytes into little-endian words; the rest of a partial word and all following words become zero.
pub(crate) fn pack_bytes(bytes: &[u8], words: &mut [u32]) {
    assert!(bytes.len() <= 4 * words.len(), "the device row is too short for the file row");
    let mut chunks = bytes.chunks(4);
    for word in words {
        let mut quad = [0; 4];
        if let Some(chunk) = chunks.next() {
            quad[..chunk.len()].copy_from_slice(chunk);
        }
        *word = u32::from_le_bytes(quad);
    }
}

/// Reads bytes back from words, the inverse of [`pack_bytes`].
pub(crate) fn unpack_bytes(words: &[u32], bytes: &mut [u8]) {
    assert!(bytes.len() <= 4 * words.len(), "the device row is too short for the file row");
    for (chunk, word) in bytes.chunks_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
}
