//! Shared by the tests: the folder of optional data, and a minimal GGUF reader for vocabularies.

#![allow(dead_code, reason = "every test file uses its own part of this module")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers pass through f64, which holds every value that was an id, a type or an f32"
)]

use std::collections::HashMap;
use std::path::PathBuf;

use ridgeline_text::GgufVocab;

/// The folder of data that is too large to commit: `RIDGELINE_SHARED`, or `shared` beside the repository.
pub(crate) fn shared() -> PathBuf {
    std::env::var_os("RIDGELINE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from)
}

/// A file of this crate's committed test data.
pub(crate) fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A metadata value of a GGUF file; only the types of vocabularies.
pub(crate) enum Value {
    Number(f64),
    Text(String),
    Array(Vec<Self>),
}

/// Reads little-endian values from the start of a file. Test data is trusted, so it panics at the end.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.0.split_first_chunk::<N>().expect("the file is complete");
        self.0 = tail;
        *head
    }

    fn length(&mut self) -> usize {
        usize::try_from(u64::from_le_bytes(self.take())).expect("lengths fit")
    }

    fn text(&mut self) -> String {
        let length = self.length();
        let (head, tail) = self.0.split_at(length);
        self.0 = tail;
        String::from_utf8(head.to_vec()).expect("strings are UTF-8")
    }

    /// A value of a GGUF type, see <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
    fn value(&mut self, kind: u32) -> Value {
        Value::Number(match kind {
            0 | 7 => f64::from(u8::from_le_bytes(self.take())),
            1 => f64::from(i8::from_le_bytes(self.take())),
            2 => f64::from(u16::from_le_bytes(self.take())),
            3 => f64::from(i16::from_le_bytes(self.take())),
            4 => f64::from(u32::from_le_bytes(self.take())),
            5 => f64::from(i32::from_le_bytes(self.take())),
            6 => f64::from(f32::from_le_bytes(self.take())),
            8 => return Value::Text(self.text()),
            9 => {
                let kind = u32::from_le_bytes(self.take());
                let length = self.length();
                return Value::Array((0..length).map(|_| self.value(kind)).collect());
            }
            10 | 11 => self.length() as f64,
            12 => f64::from_le_bytes(self.take()),
            other => panic!("GGUF value type {other}"),
        })
    }
}

/// The metadata of a GGUF file.
pub(crate) fn metadata(file: &[u8]) -> HashMap<String, Value> {
    let mut reader = Reader(file);
    assert_eq!(&reader.take(), b"GGUF");
    let _version: [u8; 4] = reader.take();
    let _tensors = reader.length();
    let count = reader.length();
    let mut entries = HashMap::new();
    for _ in 0..count {
        let key = reader.text();
        let kind = u32::from_le_bytes(reader.take());
        entries.insert(key, reader.value(kind));
    }
    entries
}

/// The vocabulary in the metadata of a GGUF file.
pub(crate) fn vocab(file: &[u8]) -> GgufVocab {
    let entries = metadata(file);
    let get = |key: &str| entries.get(&format!("tokenizer.{key}"));
    let text = |key| match get(key) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let number = |key| match get(key) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    let array = |key| match get(key) {
        Some(Value::Array(items)) => items.as_slice(),
        _ => &[],
    };
    let texts = |key| {
        array(key).iter().filter_map(|item| if let Value::Text(t) = item { Some(t.clone()) } else { None })
    };
    let numbers =
        |key| array(key).iter().filter_map(|item| if let Value::Number(n) = item { Some(*n) } else { None });
    let id = |key| number(key).map(|id| id as u32);
    GgufVocab {
        model: text("ggml.model").expect("every vocabulary has a model"),
        pre: text("ggml.pre"),
        tokens: texts("ggml.tokens").collect(),
        scores: numbers("ggml.scores").map(|score| score as f32).collect(),
        token_types: numbers("ggml.token_type").map(|kind| kind as i32).collect(),
        merges: texts("ggml.merges").collect(),
        bos: id("ggml.bos_token_id"),
        eos: id("ggml.eos_token_id"),
        unk: id("ggml.unknown_token_id"),
        add_bos: number("ggml.add_bos_token").map(|flag| flag != 0.0),
        add_eos: number("ggml.add_eos_token").map(|flag| flag != 0.0),
        add_space_prefix: number("ggml.add_space_prefix").map(|flag| flag != 0.0),
        chat_template: text("chat_template"),
    }
}
