//! The byte alphabet of byte-level BPE: a printable character for every byte.
//!
//! Bytes that Latin-1 prints (`!`..=`~`, `¡`..=`¬`, `®`..=`ÿ`) represent themselves. The other 68, in order,
//! are U+0100, U+0101, … See `bytes_to_unicode` in <https://github.com/openai/gpt-2/blob/master/src/encoder.py>.

use std::sync::LazyLock;

static CHARS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100u32;
    std::array::from_fn(|byte| {
        let byte = u32::try_from(byte).expect("a byte index fits in u32");
        let code = if prints(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).expect("the alphabet lies below U+0200")
    })
});

/// The byte of each character below U+0200; the alphabet ends at U+0143.
static BYTES: LazyLock<[Option<u8>; 0x200]> = LazyLock::new(|| {
    let mut bytes = [None; 0x200];
    for byte in 0..=255u8 {
        bytes[CHARS[usize::from(byte)] as usize] = Some(byte);
    }
    bytes
});

const fn prints(byte: u32) -> bool {
    matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The character of a byte.
pub(crate) fn char_of(byte: u8) -> char {
    CHARS[usize::from(byte)]
}

/// The byte of a character, if it is in the alphabet.
pub(crate) fn byte_of(c: char) -> Option<u8> {
    BYTES.get(c as usize).copied().flatten()
}

/// Appends the vocabulary's spelling of a text to `out`.
pub(crate) fn spell(text: &str, out: &mut String) {
    out.extend(text.bytes().map(char_of));
}

/// The bytes of a token in the vocabulary's spelling. Added tokens may have characters outside the alphabet,
/// which represent their own UTF-8.
pub(crate) fn from_byte_level(token: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(token.len());
    for c in token.chars() {
        match byte_of(c) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// The bytes without a token in a vocabulary.
pub(crate) fn missing_bytes(has: impl Fn(&str) -> bool) -> Box<[bool; 256]> {
    Box::new(std::array::from_fn(|byte| !has(CHARS[byte].encode_utf8(&mut [0; 4]))))
}

/// The first byte of `text` that is marked as missing.
pub(crate) fn first_missing(text: &str, missing: &[bool; 256]) -> Option<u8> {
    text.bytes().find(|&byte| missing[usize::from(byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabet_is_a_bijection_with_the_known_landmarks() {
        for byte in 0..=255u8 {
            assert_eq!(byte_of(char_of(byte)), Some(byte));
        }
        assert_eq!(char_of(b' '), 'Ġ');
        assert_eq!(char_of(b'\n'), 'Ċ');
        assert_eq!(char_of(b'a'), 'a');
        assert_eq!(char_of(0xAD), 'Ń');
        assert_eq!(byte_of(' '), None);
        assert_eq!(byte_of('▁'), None);
    }

    #[test]
    fn spelling_round_trips_any_text() {
        let text = "Ä  b\n🦙";
        let mut spelled = String::new();
        spell(text, &mut spelled);
        assert!(!spelled.contains(' '));
        assert_eq!(from_byte_level(&spelled), text.as_bytes());
        assert_eq!(from_byte_level("a▁"), "a▁".as_bytes());
    }
}
