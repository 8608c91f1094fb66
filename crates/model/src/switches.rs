//! Variations of the forward pass for experiments.
//!
//! Int8 activations and cooperative matrices round their operands, which changes logits. The other switches
//! change only the order of sums.

/// How attention is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AttentionPath {
    /// One kernel with online softmax.
    #[default]
    Fused,
    /// Scores, softmax and weighted values as three kernels.
    Unfused,
}

/// Fusions: launches that can be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fusion {
    /// One launch for queries, keys and values.
    Qkv,
    /// Bias, QK norm, RoPE and the store to the KV cache in one launch.
    RopeAppend,
    /// The residual add as an epilogue of the output and down projections.
    Residual,
    /// Gate and up projections with a SwiGLU epilogue.
    GateUp,
}

impl Fusion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Qkv, Self::RopeAppend, Self::Residual, Self::GateUp];

    /// The name in commands and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qkv => "qkv",
            Self::RopeAppend => "rope-append",
            Self::Residual => "residual",
            Self::GateUp => "gate-up",
        }
    }
}

/// A set of fusions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fusions(u8);

impl Fusions {
    /// None.
    pub const NONE: Self = Self(0);

    /// Every one.
    #[must_use]
    pub fn all() -> Self {
        Fusion::ALL.into_iter().fold(Self::NONE, Self::with)
    }

    /// This one too.
    #[must_use]
    pub const fn with(self, fusion: Fusion) -> Self {
        Self(self.0 | 1 << fusion as u8)
    }

    /// All but this one.
    #[must_use]
    pub const fn without(self, fusion: Fusion) -> Self {
        Self(self.0 & !(1 << fusion as u8))
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, fusion: Fusion) -> bool {
        self.0 & 1 << fusion as u8 != 0
    }
}

impl Default for Fusions {
    fn default() -> Self {
        Self::all()
    }
}

/// Variations of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Switches {
    /// How attention is computed.
    pub attention: AttentionPath,
    /// Length of a KV split (flash-decoding), in positions. `None`: chosen by position and device.
    ///
    /// Shorter splits occupy more cores. The splits must fit the buffer of partial results, so that long
    /// contexts use longer ones.
    pub kv_split_len: Option<u32>,
    /// Fusions in use.
    pub fusions: Fusions,
    /// Use int8 dot products for small batches. Activations are quantized to int8, which changes logits
    /// slightly. Matrices whose quantization type has no int8 kernel are unaffected.
    pub int8_dot: bool,
    /// Use cooperative matrices for large batches where the device has them. Both operands are rounded to 16
    /// bits; sums keep f32.
    pub cooperative: bool,
}

impl Switches {
    /// Switches for the most exact logits: for comparisons, not for speed.
    #[must_use]
    pub fn exact() -> Self {
        Self { cooperative: false, ..Self::default() }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            attention: AttentionPath::default(),
            kv_split_len: None,
            fusions: Fusions::default(),
            int8_dot: false,
            cooperative: true,
        }
    }
}
