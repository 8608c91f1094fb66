//! Hyperparameters of a checkpoint, by name.

use crate::Error;
use ridgeline_weights::Checkpoint;

/// Reads hyperparameters under GGUF's keys. Names have no family prefix: `block_count`, not `llama.block_count`.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    checkpoint: &'a Checkpoint,
    architecture: &'a str,
}

impl<'a> Keys<'a> {
    /// The hyperparameters of `checkpoint`.
    ///
    /// # Errors
    /// A missing `general.architecture`.
    pub fn of(checkpoint: &'a Checkpoint) -> Result<Self, Error> {
        Ok(Self { checkpoint, architecture: checkpoint.metadata().str("general.architecture")? })
    }

    /// The checkpoint.
    #[must_use]
    pub const fn checkpoint(self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// Name of the family.
    #[must_use]
    pub const fn architecture(self) -> &'a str {
        self.architecture
    }

    fn key(self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// A required size.
    ///
    /// # Errors
    /// A missing key, or a value that is no unsigned integer.
    pub fn size(self, name: &str) -> Result<u32, Error> {
        Ok(self.checkpoint.metadata().u32(&self.key(name))?)
    }

    /// An optional size.
    ///
    /// # Errors
    /// A value that is no unsigned integer.
    pub fn size_or(self, name: &str, default: u32) -> Result<u32, Error> {
        Ok(self.checkpoint.metadata().find::<u32>(&self.key(name))?.unwrap_or(default))
    }

    /// A required size that must be a positive multiple of eight, as the kernels need.
    ///
    /// # Errors
    /// A missing key, another value.
    pub fn width(self, name: &'static str) -> Result<u32, Error> {
        let value = self.size(name)?;
        self.check(name, value, is_multiple(value, 8), "it must be a multiple of 8")?;
        Ok(value)
    }

    /// A required number.
    ///
    /// # Errors
    /// A missing key, or a value that is no number.
    pub fn number(self, name: &str) -> Result<f32, Error> {
        Ok(self.checkpoint.metadata().f32(&self.key(name))?)
    }

    /// An optional number.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn number_or(self, name: &str, default: f32) -> Result<f32, Error> {
        let metadata = self.checkpoint.metadata();
        let key = self.key(name);
        Ok(if metadata.has(&key) { metadata.f32(&key)? } else { default })
    }

    /// An optional flag.
    ///
    /// # Errors
    /// A value that is no boolean.
    pub fn flag_or(self, name: &str, default: bool) -> Result<bool, Error> {
        Ok(self.checkpoint.metadata().find::<bool>(&self.key(name))?.unwrap_or(default))
    }

    /// Refuses a hyperparameter unless it `holds` to its rule.
    ///
    /// # Errors
    /// [`Error::Dimension`] with name, value and rule.
    pub fn check(
        self,
        what: &'static str,
        value: impl ToString,
        holds: bool,
        rule: &'static str,
    ) -> Result<(), Error> {
        if holds {
            return Ok(());
        }
        let (path, value) = (self.checkpoint.path().to_owned(), value.to_string());
        Err(Error::Dimension { path, what, value, rule })
    }
}

/// Whether `n` is a positive multiple of `of`.
pub(crate) const fn is_multiple(n: u32, of: u32) -> bool {
    of > 0 && n > 0 && n.is_multiple_of(of)
}
