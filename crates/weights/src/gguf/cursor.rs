//! A bounds-checked reader; its errors name the item that was being read.

use std::path::Path;

use crate::Error;

pub(super) struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes, at: 0 }
    }

    pub(super) const fn position(&self) -> u64 {
        self.at as u64
    }

    /// The position as an index of the file's bytes.
    pub(super) const fn index(&self) -> usize {
        self.at
    }

    const fn remaining(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// Fails unless `count` items of at least `each` bytes can follow. Call it before any loop or allocation whose
    /// size is a count from the file.
    pub(super) fn check(&self, count: u64, each: u64, what: impl FnOnce() -> String) -> Result<(), Error> {
        let needed = count.saturating_mul(each);
        if needed <= self.remaining() {
            return Ok(());
        }
        Err(Error::Truncated {
            path: self.path.to_owned(),
            what: what(),
            offset: self.position(),
            needed,
            available: self.remaining(),
        })
    }

    pub(super) fn take(&mut self, n: u64, what: impl FnOnce() -> String) -> Result<&'a [u8], Error> {
        self.check(n, 1, what)?;
        let n = usize::try_from(n).expect("a length within the file fits in memory");
        let bytes = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: impl FnOnce() -> String) -> Result<u32, Error> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    pub(super) fn u64(&mut self, what: impl FnOnce() -> String) -> Result<u64, Error> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    /// A string: a 64-bit length and that many bytes.
    pub(super) fn string(&mut self, what: impl Fn() -> String) -> Result<&'a [u8], Error> {
        let n = self.u64(&what)?;
        self.take(n, &what)
    }
}
