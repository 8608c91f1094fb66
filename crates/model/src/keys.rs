//! Hyperparameters of a checkpoint, by name.

use crate::Error;
use ridgeline_weights::{Checkpoint, LayerKind};

/// Largest width of a row. Products of a few widths then fit into 32 bits.
const MAX_WIDTH: u32 = 1 << 20;

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

    /// The hyperparameters of the image encoder in `checkpoint`: those under `<architecture>.vision`.
    ///
    /// # Errors
    /// [`Error::Architecture`] for a checkpoint of another kind; a missing `general.architecture`.
    pub fn vision(checkpoint: &'a Checkpoint) -> Result<Self, Error> {
        let name = checkpoint.metadata().str("general.architecture")?;
        if name == "clip" {
            return Ok(Self { checkpoint, architecture: "clip.vision" });
        }
        let (path, name) = (checkpoint.path().to_owned(), name.to_owned());
        Err(Error::Architecture { path, name, supported: "clip, an image encoder".to_owned() })
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
        let holds = is_multiple(value, 8) && value <= MAX_WIDTH;
        self.check(name, value, holds, "it must be a multiple of 8, at most 1048576")?;
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

    /// An optional multiplier. GGUF's 0 means an absent one.
    ///
    /// # Errors
    /// A value that is no positive number.
    pub fn multiplier_or(self, name: &'static str, default: f32) -> Result<f32, Error> {
        let value = self.number_or(name, 0.0)?;
        let holds = value.is_finite() && value >= 0.0;
        self.check(name, value, holds, "it must be a positive number, or 0 for none")?;
        Ok(if value == 0.0 { default } else { value })
    }

    /// Refuses sliding windows, which a family does not have.
    ///
    /// # Errors
    /// [`Error::Dimension`] where a layer has a window.
    pub fn no_windows(self) -> Result<(), Error> {
        let kinds = self.checkpoint.layer_kinds()?;
        let window =
            kinds.iter().find_map(|it| if let LayerKind::Windowed(n) = it { Some(*n) } else { None });
        let rule = "layers of this family have no sliding window";
        self.check("attention.sliding_window", window.unwrap_or(0), window.is_none(), rule)
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
