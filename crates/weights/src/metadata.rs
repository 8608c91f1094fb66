//! Typed metadata under GGUF's keys, for all containers.

use std::path::{Path, PathBuf};

use crate::Error;

/// One metadata value, with the type that GGUF stores.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the variants are named like GGUF's value types")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Str(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// A metadata array: elements of one type, in order.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the variants are named like GGUF's value types")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    Str(Vec<String>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl Array {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(it) => it.len(),
            Self::I8(it) => it.len(),
            Self::U16(it) => it.len(),
            Self::I16(it) => it.len(),
            Self::U32(it) => it.len(),
            Self::I32(it) => it.len(),
            Self::F32(it) => it.len(),
            Self::Bool(it) => it.len(),
            Self::Str(it) => it.len(),
            Self::U64(it) => it.len(),
            Self::I64(it) => it.len(),
            Self::F64(it) => it.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A Rust type that a metadata value can be read as.
pub trait FromValue<'a>: Sized {
    /// The name of the type in errors.
    const EXPECTED: &'static str;
    /// The value, if it is of this type and in range.
    fn from_value(value: &'a Value) -> Option<Self>;
}

impl FromValue<'_> for u64 {
    const EXPECTED: &'static str = "an unsigned integer";
    fn from_value(value: &Value) -> Option<Self> {
        match *value {
            Value::U8(it) => Some(it.into()),
            Value::U16(it) => Some(it.into()),
            Value::U32(it) => Some(it.into()),
            Value::U64(it) => Some(it),
            Value::I8(it) => it.try_into().ok(),
            Value::I16(it) => it.try_into().ok(),
            Value::I32(it) => it.try_into().ok(),
            Value::I64(it) => it.try_into().ok(),
            _ => None,
        }
    }
}

impl FromValue<'_> for u32 {
    const EXPECTED: &'static str = "an unsigned 32-bit integer";
    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value)?.try_into().ok()
    }
}

impl FromValue<'_> for f32 {
    const EXPECTED: &'static str = "a number";
    fn from_value(value: &Value) -> Option<Self> {
        match *value {
            Value::F32(it) => Some(it),
            Value::F64(it) => Some(narrow(it)),
            _ => u16::try_from(u64::from_value(value)?).ok().map(Self::from),
        }
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "a boolean";
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(it) = *value { Some(it) } else { None }
    }
}

impl<'a> FromValue<'a> for &'a str {
    const EXPECTED: &'static str = "a string";
    fn from_value(value: &'a Value) -> Option<Self> {
        if let Value::Str(it) = value { Some(it) } else { None }
    }
}

macro_rules! array_from_value {
    ($($element:ty = $variant:ident, $expected:literal;)+) => {$(
        impl<'a> FromValue<'a> for &'a [$element] {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: &'a Value) -> Option<Self> {
                if let Value::Array(Array::$variant(it)) = value { Some(it) } else { None }
            }
        }
    )+};
}
array_from_value! {
    String = Str, "an array of strings";
    i32 = I32, "an array of signed 32-bit integers";
    u32 = U32, "an array of unsigned 32-bit integers";
    f32 = F32, "an array of 32-bit floats";
    bool = Bool, "an array of booleans";
}

/// Rounds to single precision.
#[expect(clippy::cast_possible_truncation, reason = "rounding is intended")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

/// Metadata in file order, under GGUF's keys (`general.architecture`, `llama.block_count`, ...).
#[derive(Clone, Debug)]
pub struct Metadata {
    path: PathBuf,
    entries: Vec<(String, Value)>,
}

impl Metadata {
    pub(crate) fn new(path: &Path, entries: Vec<(String, Value)>) -> Self {
        Self { path: path.to_owned(), entries }
    }

    /// Adds an entry, or replaces the value of an existing one.
    pub(crate) fn set(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        match self.entries.iter_mut().find(|(it, _)| *it == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key, value)),
        }
    }

    /// Removes the entries whose key fails the test.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.entries.retain(|(key, _)| keep(key));
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(it, _)| it == key).map(|(_, value)| value)
    }

    /// Whether the key exists.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The value of an optional key.
    ///
    /// # Errors
    /// [`Error::KeyType`] if the value is of another type.
    pub fn find<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.value(key) else { return Ok(None) };
        T::from_value(value).map(Some).ok_or_else(|| Error::KeyType {
            path: self.path.clone(),
            key: key.to_owned(),
            expected: T::EXPECTED,
            found: shorten(value),
        })
    }

    /// The value of a required key.
    ///
    /// # Errors
    /// [`Error::MissingKey`] if it is absent, [`Error::KeyType`] if the value is of another type.
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, Error> {
        self.find(key)?.ok_or_else(|| Error::MissingKey { path: self.path.clone(), key: key.to_owned() })
    }

    /// An unsigned integer of any stored width.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn u32(&self, key: &str) -> Result<u32, Error> {
        self.get(key)
    }

    /// A number.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn f32(&self, key: &str) -> Result<f32, Error> {
        self.get(key)
    }

    /// A string.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn str(&self, key: &str) -> Result<&str, Error> {
        self.get(key)
    }

    /// A boolean.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn bool(&self, key: &str) -> Result<bool, Error> {
        self.get(key)
    }

    /// An array of strings.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn strs(&self, key: &str) -> Result<&[String], Error> {
        self.get(key)
    }

    /// An array of signed 32-bit integers.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn i32s(&self, key: &str) -> Result<&[i32], Error> {
        self.get(key)
    }

    /// An array of unsigned 32-bit integers.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn u32s(&self, key: &str) -> Result<&[u32], Error> {
        self.get(key)
    }

    /// An array of 32-bit floats.
    ///
    /// # Errors
    /// As [`Metadata::get`].
    pub fn f32s(&self, key: &str) -> Result<&[f32], Error> {
        self.get(key)
    }

    /// Every entry, in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// A value for an error message: the length of an array, the beginning of a string.
fn shorten(value: &Value) -> String {
    match value {
        Value::Array(array) => format!("an array of {} elements", array.len()),
        Value::Str(it) => format!("{:?}", it.chars().take(40).collect::<String>()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let strings = Value::Array(Array::Str(vec!["a".to_owned()]));
        let entries = [
            ("u8", Value::U8(7)),
            ("negative", Value::I32(-1)),
            ("big", Value::U64(1 << 40)),
            ("f64", Value::F64(0.5)),
            ("name", Value::Str("llama".to_owned())),
            ("tokens", strings),
        ];
        Metadata::new(Path::new("x.gguf"), entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    #[test]
    fn getters_convert_and_refuse() {
        let it = metadata();
        assert_eq!(it.u32("u8").unwrap(), 7);
        assert_eq!(it.f32("f64").unwrap().to_bits(), 0.5_f32.to_bits());
        assert_eq!(it.strs("tokens").unwrap(), ["a"]);
        assert_eq!(it.find::<u32>("absent").unwrap(), None);
        for (key, expected) in [
            ("negative", "x.gguf: metadata `negative` should be an unsigned 32-bit integer, found I32(-1)"),
            ("big", "x.gguf: metadata `big` should be an unsigned 32-bit integer, found U64(1099511627776)"),
            (
                "tokens",
                "x.gguf: metadata `tokens` should be an unsigned 32-bit integer, found an array of 1 elements",
            ),
            ("absent", "x.gguf: metadata `absent` is missing"),
        ] {
            assert_eq!(it.u32(key).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn set_replaces_in_place() {
        let mut it = metadata();
        it.set("u8", Value::U32(9));
        it.set("new", Value::Bool(true));
        assert_eq!(it.iter().next(), Some(("u8", &Value::U32(9))));
        assert!(it.bool("new").unwrap());
    }
}
