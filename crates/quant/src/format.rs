//! [`Format`]: the list of quantization types; their properties are in [`Spec`](crate::Spec).

/// Expands to [`Format`] and the module declarations. An entry is `Variant = module`, or `Variant = bits group` for a
/// member of a family.
macro_rules! formats {
    (
        $($variant:ident = $module:ident),+;
        $family:ident::$affine:ident: $($member:ident = $bits:literal $group:literal),+ $(,)?
    ) => {
        $(mod $module;)+

        /// A quantization type (`ggml_type`, and MLX's affine types): how weights are stored.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum Format {
            $(
                #[doc = concat!("See `", stringify!($module), ".rs` for the layout.")]
                $variant,
            )+
            $(
                #[doc = concat!(
                    "MLX's affine groups of ", $group, " weights, ", $bits, " bits each; see `mlx.rs`."
                )]
                $member,
            )+
        }

        impl Format {
            /// Every type, in the order of the enum.
            pub const ALL: &'static [Format] = &[$(Format::$variant,)+ $(Format::$member),+];

            /// Sizes and functions of this type.
            pub const fn spec(self) -> &'static $crate::Spec {
                match self {
                    $(Format::$variant => &$module::SPEC,)+
                    $(Format::$member => &$family::$affine::<$bits, $group>::SPEC,)+
                }
            }
        }
    };
}
pub(crate) use formats;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Format;

impl Format {
    /// Single precision, for norms and biases.
    pub const SINGLE: Self = Self::F32;
    /// Half precision, in which every matrix can be stored.
    pub const HALF: Self = Self::F16;

    /// About one byte per weight, with a scale per block.
    pub const BYTE: Self = Self::Q8_0;
    /// Activations of int8 dot products.
    pub const INT8_ACTIVATIONS: Self = Self::Q8_0;

    /// File bytes of `n` weights; `n` must be a multiple of the block length.
    pub const fn bytes(self, n: u64) -> u64 {
        let spec = self.spec();
        debug_assert!(n.is_multiple_of(spec.block_len as u64), "weights must fill whole blocks");
        n / spec.block_len as u64 * spec.block_bytes as u64
    }

    /// The type of a matrix whose rows have `n_cols` weights: this one, if they are whole blocks. Else a type of smaller
    /// blocks, or half precision if they are not whole blocks of that either (llama.cpp's `tensor_type_fallback`).
    pub fn for_rows_of(self, n_cols: usize) -> Self {
        let fits = |it: Self| n_cols.is_multiple_of(it.spec().block_len);
        let smaller = match self {
            Self::Q2K | Self::Q3K => Self::Q4_0,
            Self::Q4K => Self::Q5_0,
            Self::Q5K => Self::Q5_1,
            Self::Q6K => Self::Q8_0,
            Self::Iq4Xs => Self::Iq4Nl,
            other => other,
        };
        [self, smaller].into_iter().find(|it| fits(*it)).unwrap_or(Self::HALF)
    }

    /// Device bytes of a packed matrix of `n_rows` rows of `n_cols` weights, padding included.
    pub fn device_bytes(self, n_rows: u64, n_cols: usize) -> u64 {
        n_rows * 4 * (self.spec().row_words)(n_cols) as u64
    }

    /// Whether GGUF can store this type.
    pub const fn in_gguf(self) -> bool {
        self.spec().gguf_type != crate::Spec::NOT_IN_GGUF
    }

    /// The type of a `ggml_type` id, if this crate can read it.
    pub fn from_gguf(gguf_type: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.in_gguf() && it.spec().gguf_type == gguf_type)
    }

    /// The type of a GGUF name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.spec().name.eq_ignore_ascii_case(name))
    }

    /// The name of a `ggml_type` id, also of types that this crate cannot read.
    pub fn gguf_type_name(gguf_type: u32) -> Option<&'static str> {
        crate::GgmlType::from_id(gguf_type).map(|it| it.name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.spec().name)
    }
}

/// The error of parsing a [`Format`]: no quantization type has this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown quantization type `{}`; known are", self.0)?;
        Format::ALL.iter().try_for_each(|it| write!(f, " {it}"))
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::from_name(name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.spec().name)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GgmlType;

    #[test]
    fn every_format_agrees_with_the_ggml_table() {
        for &format in Format::ALL {
            let spec = format.spec();
            assert_eq!(spec.name.to_lowercase().parse(), Ok(format));
            assert_eq!(spec.wgsl, format!("format/{}.wgsl", spec.name.to_lowercase()));
            if !format.in_gguf() {
                continue;
            }
            let row = GgmlType::from_id(spec.gguf_type).expect("a type in GGUF is a ggml type");
            assert_eq!(
                (row.name, row.block_len, row.block_bytes),
                (spec.name, spec.block_len, spec.block_bytes)
            );
            assert_eq!(Format::from_gguf(spec.gguf_type), Some(format));
        }
        assert_eq!(Format::from_gguf(4), None);
    }

    #[test]
    fn formats_serialise_by_name() {
        for &format in Format::ALL {
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{format}\""));
            assert_eq!(serde_json::from_str::<Format>(&json).unwrap(), format);
        }
        let error = serde_json::from_str::<Format>("\"Q99\"").unwrap_err().to_string();
        assert!(error.contains("Q99") && error.contains("F32"), "{error}");
    }

    #[test]
    fn sizes() {
        assert_eq!(Format::F16.bytes(10), 20);
        assert_eq!(Format::Q8_0.bytes(64), 68);
        // Two blocks: 16 words of quants, 1 word of scales, 3 words of padding.
        assert_eq!(Format::Q8_0.device_bytes(3, 64), 3 * 20 * 4);
        assert_eq!(Format::F16.device_bytes(1, 10), 32);
    }
}
