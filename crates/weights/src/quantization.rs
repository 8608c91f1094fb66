//! [`Quantization`]: one quantization type for all matrices of a model, or a mix of types.

use std::{collections::HashMap, fmt, str::FromStr};

use ridgeline_quant::{Format, Mix};

use crate::{Checkpoint, Error, quantize};

/// The quantization of the matrices of a model.
#[derive(Clone, Copy, Debug)]
pub enum Quantization {
    /// One type for all. Matrices whose rows are not whole blocks of it have another ([`Format::for_rows_of`]).
    Uniform(Format),
    /// The type that a mix gives to each matrix.
    Mixed(&'static Mix),
}

impl Quantization {
    /// The name of the type or the mix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform(format) => format.spec().name,
            Self::Mixed(mix) => mix.name,
        }
    }

    /// The type of every tensor of a checkpoint, by its name. Norms, biases, routers and filters are in single precision.
    ///
    /// # Errors
    /// As [`formats`](crate::formats).
    pub fn formats(self, checkpoint: &Checkpoint) -> Result<HashMap<&str, Format>, Error> {
        match self {
            Self::Uniform(format) => {
                Ok(checkpoint.tensors().map(|it| (it.name, uniform(format, it.name, it.shape))).collect())
            }
            Self::Mixed(mix) => quantize::formats(checkpoint, mix, false),
        }
    }

    /// `general.file_type`; `None` for the id of the most common type.
    pub(crate) const fn file_type(self) -> Option<u32> {
        match self {
            Self::Uniform(_) => None,
            Self::Mixed(mix) => Some(mix.gguf_file_type),
        }
    }
}

fn uniform(format: Format, name: &str, shape: &[usize]) -> Format {
    match shape.last() {
        _ if !quantize::is_quantized(name, shape) => Format::SINGLE,
        Some(n_cols) => format.for_rows_of(*n_cols),
        None => Format::HALF,
    }
}

impl From<Format> for Quantization {
    fn from(format: Format) -> Self {
        Self::Uniform(format)
    }
}

impl From<&'static Mix> for Quantization {
    fn from(mix: &'static Mix) -> Self {
        Self::Mixed(mix)
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of parsing a [`Quantization`]: no quantization type or mix has this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownQuantization(String);

impl fmt::Display for UnknownQuantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown quantization type `{}`; known are", self.0)?;
        Format::ALL.iter().try_for_each(|it| write!(f, " {it}"))?;
        write!(f, ", and the mixes")?;
        let mixes = Mix::ALL.iter().filter(|it| Format::from_name(it.name).is_none());
        mixes.into_iter().try_for_each(|it| write!(f, " {it}"))
    }
}

impl std::error::Error for UnknownQuantization {}

/// A type takes precedence over a mix of the same name.
impl FromStr for Quantization {
    type Err = UnknownQuantization;

    fn from_str(name: &str) -> Result<Self, UnknownQuantization> {
        let format = Format::from_name(name).map(Self::Uniform);
        let quantization = format.or_else(|| Mix::from_name(name).map(Self::Mixed));
        quantization.ok_or_else(|| UnknownQuantization(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_wins_over_a_mix_of_its_name() {
        let parse = |name: &str| name.parse::<Quantization>();
        for &format in Format::ALL {
            let parsed = parse(&format.spec().name.to_lowercase()).unwrap();
            assert!(matches!(parsed, Quantization::Uniform(it) if it == format), "{format}: {parsed:?}");
        }
        for mix in Mix::ALL {
            let parsed = parse(&mix.name.to_lowercase()).unwrap();
            assert_eq!(parsed.name(), mix.name);
            assert_eq!(
                matches!(parsed, Quantization::Mixed(_)),
                Format::from_name(mix.name).is_none(),
                "{mix}"
            );
        }
        let error = parse("q9_x").unwrap_err().to_string();
        for part in ["`q9_x`", " F16 ", " Q2_K ", "mixes Q3_K_S", " Q5_K_M"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(error.matches(" Q2_K").count(), 1, "named once: {error}");
    }
}
