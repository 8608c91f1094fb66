//! Typed metadata under GGUF's keys, for all containers.

use std::path::{Path, PathBuf};

use crate::{
    Error,
    value::{FromValue, Value},
};

/// Metadata in file order, under GGUF's keys (`general.architecture`, `llama.block_count`, ...).
#[derive(Clone, Debug)]
pub struct Metadata {
    path: PathBuf,
    entries: Vec<(String, Value)>,
    /// Keys whose values cannot be read, and why. They matter only to a reader who needs them.
    unreadable: Vec<(String, &'static str)>,
}

impl Metadata {
    pub(crate) fn new(path: &Path, entries: Vec<(String, Value)>) -> Self {
        Self { path: path.to_owned(), entries, unreadable: Vec::new() }
    }

    /// The file, or the label of a checkpoint without one.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds keys whose values cannot be read, with the reason of each.
    pub(crate) fn with_unreadable(self, unreadable: Vec<(String, &'static str)>) -> Self {
        Self { unreadable, ..self }
    }

    /// Keys whose values cannot be read, with the reason of each. Reading such a key is an error.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.unreadable.iter().map(|(key, problem)| (key.as_str(), *problem))
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
        self.value(key).is_some() || self.unreadable.iter().any(|(it, _)| it == key)
    }

    /// The value of an optional key; -1 in place of an unsigned integer means that it is absent.
    ///
    /// # Errors
    /// [`Error::KeyType`] if the value is of another type, [`Error::MetadataEntry`] if it cannot be read.
    pub fn find<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, Error> {
        match self.value(key) {
            Some(value) if T::stands_for_none(value) => Ok(None),
            _ => self.read(key),
        }
    }

    /// The value of a required key.
    ///
    /// # Errors
    /// [`Error::MissingKey`] if it is absent, else as [`Metadata::find`].
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, Error> {
        self.read(key)?.ok_or_else(|| Error::MissingKey { path: self.path.clone(), key: key.to_owned() })
    }

    fn read<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, Error> {
        let path = || self.path.clone();
        if let Some(&(_, problem)) = self.unreadable.iter().find(|(it, _)| it == key) {
            return Err(Error::MetadataEntry { path: path(), key: key.to_owned(), problem });
        }
        let Some(value) = self.value(key) else { return Ok(None) };
        let wrong = || {
            let (expected, found) = (T::EXPECTED, shorten(value));
            Error::KeyType { path: path(), key: key.to_owned(), expected, found }
        };
        T::from_value(value).map(Some).ok_or_else(wrong)
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

    /// Every entry, in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// A value for an error message: the length of an array, the beginning of a string.
fn shorten(value: &Value) -> String {
    match value {
        Value::Array(array) if (1..=8).contains(&array.len()) => {
            format!("{:?}", array.values().collect::<Vec<_>>())
        }
        Value::Array(array) => format!("an array of {} elements", array.len()),
        Value::Str(it) => format!("{:?}", it.chars().take(40).collect::<String>()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Array;

    fn metadata() -> Metadata {
        let strings = Value::Array(Array::Str(vec!["a".to_owned()]));
        let entries = [
            ("layers", Value::Array(Array::U32(vec![4, 4, 4]))),
            ("mixed", Value::Array(Array::U32(vec![4, 2, 4]))),
            ("base", Value::U32(1_000_000)),
            ("float", Value::F32(3.0)),
            ("half", Value::F64(2.5)),
            ("one", Value::I8(1)),
            ("two", Value::U8(2)),
            ("types", Value::Array(Array::I64(vec![1, 3]))),
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
            ("tokens", "x.gguf: metadata `tokens` should be an unsigned 32-bit integer, found [Str(\"a\")]"),
            ("absent", "x.gguf: metadata `absent` is missing"),
        ] {
            assert_eq!(it.u32(key).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_value_is_what_it_means_and_not_how_it_is_stored() {
        let it = metadata();
        assert_eq!([it.u32("layers").unwrap(), it.u32("float").unwrap()], [4, 3]);
        assert_eq!(it.f32("base").unwrap().to_bits(), 1e6_f32.to_bits());
        assert_eq!(it.find::<u32>("negative").unwrap(), None, "-1 stands for none");
        assert!(it.bool("one").unwrap() && it.bool("two").is_err());
        assert_eq!(it.get::<Vec<i32>>("types").unwrap(), [1, 3]);
        assert_eq!(it.get::<Vec<f32>>("layers").unwrap().len(), 3);
        for (key, found) in [("mixed", "[U32(4), U32(2), U32(4)]"), ("half", "F64(2.5)")] {
            assert!(it.u32(key).unwrap_err().to_string().ends_with(found), "{key}");
        }
    }

    #[test]
    fn an_unreadable_value_is_an_error_where_it_is_needed() {
        let it = metadata().with_unreadable(vec![("loss".to_owned(), "a value is not finite")]);
        assert!(it.has("loss") && it.value("loss").is_none());
        let error = it.find::<f32>("loss").unwrap_err().to_string();
        assert_eq!(error, "x.gguf: metadata `loss`: a value is not finite");
        assert_eq!(it.unreadable().count(), 1);
    }

    #[test]
    fn set_replaces_in_place() {
        let mut it = metadata();
        it.set("layers", Value::U32(9));
        it.set("new", Value::Bool(true));
        assert_eq!(it.iter().next(), Some(("layers", &Value::U32(9))));
        assert!(it.bool("new").unwrap());
    }
}
