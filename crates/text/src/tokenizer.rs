//! [`Tokenizer`]: one interface over both kinds of vocabulary.

use crate::gguf::{self, GgufEncoder, GgufVocab};
use crate::json::{self, JsonEncoder};
use crate::parts::Parts;
use crate::pieces::{Kind, Specials, TextStream};
use crate::{ChatTemplate, Ends, Error, ends};

/// Turns text into ids, by the kind of vocabulary.
#[derive(Debug)]
enum Encoder {
    Gguf(Box<GgufEncoder>),
    Json(Box<JsonEncoder>),
}

/// Text to token ids and back, for one vocabulary.
#[derive(Debug)]
pub struct Tokenizer(Parts<Encoder>);

impl Tokenizer {
    /// Builds the tokenizer of a GGUF file from its metadata; `source` is the file's name, for errors.
    ///
    /// # Errors
    /// An unsupported `model` or `pre`, and every inconsistency of the vocabulary: see [`Error`].
    pub fn from_gguf(vocab: GgufVocab, source: &str) -> Result<Self, Error> {
        Ok(Self::with_named_ends(gguf::build(vocab, source)?.map(|it| Encoder::Gguf(Box::new(it)))))
    }

    /// Builds a tokenizer from the bytes of a `tokenizer.json`; `config` is `tokenizer_config.json`, which
    /// holds the special tokens and the chat template. `source` is the file's name, for errors.
    ///
    /// # Errors
    /// [`Error::Json`] if a file is malformed, [`Error::Unsupported`] if its decoder is not supported,
    /// [`Error::SpecialMissing`] for a special token that is not in the vocabulary.
    pub fn from_json(json: &[u8], config: Option<&[u8]>, source: &str) -> Result<Self, Error> {
        Self::from_folder(json, config, &Ends::default(), source)
    }

    /// As [`Self::from_json`], with the tokens that the model's other files name: they count where `config` names none, and
    /// each end stops a text.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_folder(json: &[u8], config: Option<&[u8]>, ends: &Ends, source: &str) -> Result<Self, Error> {
        let parts = json::build(json, config, ends, source)?;
        let mut tokenizer = Self::with_named_ends(parts.map(|it| Encoder::Json(Box::new(it))));
        tokenizer.add_ends(ends);
        Ok(tokenizer)
    }

    /// Builds the tokenizer of a GGUF file that has a whole tokenizer.json: that has steps which the other metadata lack, such
    /// as normalization. The special tokens and the chat template are those of `vocab`.
    ///
    /// # Errors
    /// As [`Self::from_json`].
    pub fn from_embedded_json(json: &str, vocab: &GgufVocab, source: &str) -> Result<Self, Error> {
        let token = |id: Option<u32>| vocab.tokens.get(id? as usize);
        let config = serde_json::json!({
            "bos_token": token(vocab.bos), "eos_token": token(vocab.eos), "add_bos_token": vocab.add_bos,
            "add_eos_token": vocab.add_eos, "chat_template": vocab.chat_template,
        });
        Self::from_json(json.as_bytes(), Some(config.to_string().as_bytes()), source)
    }

    fn with_named_ends(parts: Parts<Encoder>) -> Self {
        let mut tokenizer = Self(parts);
        let eos = ends::named(|name| tokenizer.token_id(name));
        tokenizer.0.ends = eos;
        tokenizer
    }

    /// Adds tokens that another file of the model names. A beginning counts where the vocabulary names none. Ids outside the
    /// vocabulary do not count.
    pub fn add_ends(&mut self, ends: &Ends) {
        let known = |id: &u32| (*id as usize) < self.0.pieces.len();
        let bos = ends.bos.filter(known);
        let eos: Vec<u32> = ends.eos.iter().copied().filter(known).collect();
        self.0.bos = self.0.bos.or(bos);
        self.0.eos = self.0.eos.or(eos.first().copied());
        self.0.ends.extend(eos);
    }

    /// Sets the chat template, from a file such as `chat_template.jinja`.
    #[must_use]
    pub fn with_chat_template(mut self, template: &str) -> Self {
        let text_of = |id: Option<u32>| {
            let piece = id.and_then(|id| self.0.pieces.get(id).ok());
            piece.map_or(String::new(), |(bytes, _)| String::from_utf8_lossy(bytes).into_owned())
        };
        let (bos, eos) = (text_of(self.0.bos), text_of(self.0.eos));
        self.0.template = Some(ChatTemplate::new(template, self.0.pieces.file(), &bos, &eos));
        self
    }

    /// The ids of a text, like llama.cpp's `parse_special = false`: `<|im_end|>` in the text is ordinary text.
    /// Adds neither [`Self::bos`] nor [`Self::eos`].
    ///
    /// # Errors
    /// [`Error::MissingByte`] if a byte of the text has no token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_as(text, false)
    }

    /// The ids of a text, like llama.cpp's `parse_special = true`: `<|im_end|>` in the text is the control token.
    /// Use it for the output of a chat template. Adds neither [`Self::bos`] nor [`Self::eos`].
    ///
    /// # Errors
    /// [`Error::MissingByte`] if a byte of the text has no token.
    pub fn encode_special(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_as(text, true)
    }

    fn encode_as(&self, text: &str, parse_special: bool) -> Result<Vec<u32>, Error> {
        match &self.0.encoder {
            Encoder::Gguf(encoder) => encoder.encode(text, parse_special, self.0.pieces.file()),
            Encoder::Json(encoder) => encoder.encode(text, parse_special, self.0.pieces.file()),
        }
    }

    /// The text of some ids, without control tokens. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`Error::UnknownId`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        self.0.pieces.decode(ids, Specials::Hidden)
    }

    /// The text of some ids, with control tokens written out.
    ///
    /// # Errors
    /// [`Error::UnknownId`].
    pub fn decode_special(&self, ids: &[u32]) -> Result<String, Error> {
        self.0.pieces.decode(ids, Specials::Shown)
    }

    /// A decoder for ids that arrive one by one.
    #[must_use]
    pub fn stream(&self, specials: Specials) -> TextStream<'_> {
        TextStream::new(&self.0.pieces, specials)
    }

    /// The bytes of a token, which may be a part of a character. Those of a control token are its name.
    ///
    /// # Errors
    /// [`Error::UnknownId`].
    pub fn token_bytes(&self, id: u32) -> Result<&[u8], Error> {
        self.0.pieces.get(id).map(|(bytes, _)| bytes)
    }

    /// Whether a token is a control token, such as `<|im_end|>`.
    ///
    /// # Errors
    /// [`Error::UnknownId`].
    pub fn is_control(&self, id: u32) -> Result<bool, Error> {
        self.0.pieces.get(id).map(|(_, kind)| kind == Kind::Control)
    }

    /// The id of a token in the vocabulary's spelling, such as `<|im_end|>`.
    #[must_use]
    pub fn token_id(&self, token: &str) -> Option<u32> {
        match &self.0.encoder {
            Encoder::Gguf(encoder) => encoder.token_id(token),
            Encoder::Json(encoder) => encoder.token_id(token),
        }
    }

    /// The largest id plus one. A model may have more logits.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.0.pieces.len()
    }

    /// The beginning-of-sequence token.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.0.bos
    }

    /// The end-of-sequence token.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.0.eos
    }

    /// Every token that ends a text or a turn, in order and without duplicates.
    #[must_use]
    pub fn ends(&self) -> Vec<u32> {
        let mut ends: Vec<u32> = self.0.eos.into_iter().chain(self.0.ends.iter().copied()).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// What may be wrong with the ids, one sentence each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// Whether an id has no text of its own: the vocabulary lacks it, or has a placeholder.
    #[must_use]
    pub fn is_padding(&self, id: u32) -> bool {
        self.0.pieces.is_padding(id)
    }

    /// The largest id that is no padding, plus one. Rows of an embedding behind it are padding.
    #[must_use]
    pub fn used_size(&self) -> usize {
        self.0.pieces.used()
    }

    /// Whether the model expects [`Self::bos`] before a text. Chat templates include it.
    #[must_use]
    pub fn add_bos(&self) -> bool {
        self.0.add_bos
    }

    /// Whether the model expects [`Self::eos`] after a text.
    #[must_use]
    pub fn add_eos(&self) -> bool {
        self.0.add_eos
    }

    /// The chat template, if the model has one.
    #[must_use]
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.0.template.as_ref()
    }
}
