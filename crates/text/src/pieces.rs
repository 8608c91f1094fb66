//! Ids to bytes to text: the bytes of every token, and a streaming decoder that never splits a character.

use crate::Error;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// Text of an id that no text uses: a placeholder.
    Unused,
    /// A control token (begin, end, role), which is not part of the text.
    Control,
}

/// Whether control tokens (`<|im_end|>` and the like) are part of decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Specials {
    /// Omitted, for text that people read.
    #[default]
    Hidden,
    /// Written as their text, so that encoding the result again gives the same ids.
    Shown,
}

/// The bytes of every token, in one buffer.
#[derive(Debug)]
pub(crate) struct Pieces {
    file: String,
    bytes: Vec<u8>,
    /// Per id: start and end of its bytes, and its kind; `None` for an id that the vocabulary skips.
    tokens: Vec<Option<(usize, usize, Kind)>>,
    /// SentencePiece adds a space before a text; decoding a whole text removes it.
    strips_space: bool,
}

impl Pieces {
    pub(crate) fn new(file: &str, strips_space: bool) -> Self {
        Self { file: file.to_owned(), bytes: Vec::new(), tokens: Vec::new(), strips_space }
    }

    /// Sets the bytes of an id. Later calls for the same id win.
    pub(crate) fn set(&mut self, id: u32, bytes: &[u8], kind: Kind) {
        let index = id as usize;
        if self.tokens.len() <= index {
            self.tokens.resize(index + 1, None);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.tokens[index] = Some((start, self.bytes.len(), kind));
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// One more than the largest id.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether an id has no text of its own: it is not in the vocabulary, or a placeholder.
    pub(crate) fn is_padding(&self, id: u32) -> bool {
        !matches!(self.tokens.get(id as usize), Some(Some((_, _, Kind::Text | Kind::Control))))
    }

    /// One more than the largest id that is no padding.
    pub(crate) fn used(&self) -> usize {
        let ids = (0..self.tokens.len()).rev();
        ids.map(|id| id + 1).find(|&n| u32::try_from(n - 1).is_ok_and(|id| !self.is_padding(id))).unwrap_or(0)
    }

    pub(crate) fn get(&self, id: u32) -> Result<(&[u8], Kind), Error> {
        match self.tokens.get(id as usize) {
            Some(&Some((start, end, kind))) => Ok((&self.bytes[start..end], kind)),
            _ => Err(Error::UnknownId { file: self.file.clone(), id, tokens: self.tokens.len() }),
        }
    }

    /// Decodes a whole text: bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn decode(&self, ids: &[u32], specials: Specials) -> Result<String, Error> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        let mut strip = self.strips_space;
        for &id in ids {
            let (piece, kind) = self.get(id)?;
            if kind == Kind::Control {
                if specials == Specials::Shown {
                    bytes.extend_from_slice(piece);
                }
                continue;
            }
            bytes.extend_from_slice(if strip { piece.strip_prefix(b" ").unwrap_or(piece) } else { piece });
            strip = false;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Decodes ids one at a time, as a model generates them. A character that spans tokens appears with its last
/// token. Unlike [`crate::Tokenizer::decode`], it keeps the space before the first word, because generated text
/// continues a prompt.
#[derive(Debug)]
pub struct TextStream<'t> {
    pieces: &'t Pieces,
    specials: Specials,
    /// The bytes of an incomplete character: at most three.
    pending: Vec<u8>,
}

impl<'t> TextStream<'t> {
    pub(crate) fn new(pieces: &'t Pieces, specials: Specials) -> Self {
        Self { pieces, specials, pending: Vec::new() }
    }

    /// The text that this id completes; empty while a character is incomplete. Bytes that cannot become a
    /// character are returned as U+FFFD.
    ///
    /// # Errors
    /// [`Error::UnknownId`]; the stream is then unchanged.
    pub fn push(&mut self, id: u32) -> Result<String, Error> {
        let (piece, kind) = self.pieces.get(id)?;
        if kind == Kind::Control && self.specials == Specials::Hidden {
            return Ok(String::new());
        }
        self.pending.extend_from_slice(piece);
        let (text, used) = complete_text(&self.pending);
        self.pending.drain(..used);
        Ok(text)
    }

    /// Ends the stream; an incomplete character is returned as U+FFFD.
    #[must_use]
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

/// The longest prefix of `bytes` that further bytes cannot change, as text, and its length in bytes.
fn complete_text(bytes: &[u8]) -> (String, usize) {
    let mut text = String::new();
    let mut used = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        used += chunk.valid().len();
        let invalid = chunk.invalid();
        let may_continue = used + invalid.len() == bytes.len()
            && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if invalid.is_empty() || may_continue {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        used += invalid.len();
    }
    (text, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids 0-255 are the bytes, 256 is a control token, 257 a word with its space.
    fn pieces(strips_space: bool) -> Pieces {
        let mut pieces = Pieces::new("test", strips_space);
        for byte in 0..=255u8 {
            pieces.set(u32::from(byte), &[byte], Kind::Text);
        }
        pieces.set(256, b"<end>", Kind::Control);
        pieces.set(257, b" word", Kind::Text);
        pieces
    }

    #[test]
    fn a_stream_never_splits_a_character_and_agrees_with_decode() {
        let pieces = pieces(false);
        let mut bytes = "é🦙 x".as_bytes().to_vec();
        bytes.extend_from_slice(&[0xFF, b'a', 0xE2, 0x82, b'b', 0xF0, 0x9F]);
        let ids: Vec<u32> = bytes.iter().map(|&b| u32::from(b)).collect();
        let mut stream = TextStream::new(&pieces, Specials::Hidden);
        let mut text = String::new();
        for &id in &ids {
            text += &stream.push(id).unwrap();
        }
        assert!(text.starts_with("é🦙 x\u{FFFD}a"));
        text += &stream.finish();
        assert_eq!(text, String::from_utf8_lossy(&bytes));
        assert_eq!(text, pieces.decode(&ids, Specials::Hidden).unwrap());
    }

    #[test]
    fn control_tokens_show_only_when_asked_for() {
        let pieces = pieces(false);
        assert_eq!(pieces.decode(&[256, 97, 256], Specials::Hidden).unwrap(), "a");
        assert_eq!(pieces.decode(&[256, 97, 256], Specials::Shown).unwrap(), "<end>a<end>");
        let mut stream = TextStream::new(&pieces, Specials::Hidden);
        assert_eq!(stream.push(256).unwrap(), "");
        assert_eq!(stream.push(257).unwrap(), " word");
    }

    #[test]
    fn the_prefix_space_is_stripped_once() {
        let pieces = pieces(true);
        assert_eq!(pieces.decode(&[257, 257], Specials::Hidden).unwrap(), "word word");
        assert_eq!(pieces.decode(&[256, 257], Specials::Hidden).unwrap(), "word");
        assert_eq!(pieces.decode(&[97, 257], Specials::Hidden).unwrap(), "a word");
    }

    #[test]
    fn padding_has_no_text_of_its_own() {
        let mut pieces = pieces(false);
        pieces.set(259, b"x", Kind::Text);
        pieces.set(260, b"[PAD260]", Kind::Unused);
        assert!([258, 260, 261, u32::MAX].into_iter().all(|id| pieces.is_padding(id)));
        assert!(!pieces.is_padding(259) && !pieces.is_padding(256));
        assert_eq!((pieces.len(), pieces.used()), (261, 260));
    }

    #[test]
    fn unknown_ids_are_errors() {
        let mut pieces = pieces(false);
        pieces.set(300, b"x", Kind::Text);
        for id in [258, 299, 301, u32::MAX] {
            assert!(matches!(pieces.decode(&[id], Specials::Hidden), Err(Error::UnknownId { .. })), "{id}");
        }
    }
}
