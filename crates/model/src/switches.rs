//! What experiments vary about a forward pass. Integer products change logits by about one per cent, cooperative matrices by a
//! few parts in ten thousand; all else leaves them as they are, up to the order of sums.

/// How attention is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AttentionPath {
    /// One kernel with online softmax.
    #[default]
    Fused,
    /// Scores, softmax and values in three kernels.
    Unfused,
}

/// Launches that can be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fusion {
    /// One launch for queries, keys and values.
    Qkv,
    /// Bias, norms of heads, rotation and storing in the cache.
    RopeAppend,
    /// Adding a projection to the residual stream while storing it.
    Residual,
    /// The two halves of the feed-forward block and their product.
    GateUp,
}

impl Fusion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Qkv, Self::RopeAppend, Self::Residual, Self::GateUp];

    /// The name that commands and reports use.
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

/// What experiments vary about a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Switches {
    /// How attention is computed.
    pub attention: AttentionPath,
    /// Positions that one workgroup of the fused attention covers, as far as there is memory for the parts of so many
    /// tokens; chosen by position and device where it is not given. Shorter spans give more cores work.
    pub kv_split_len: Option<u32>,
    /// Which launches are merged.
    pub fusions: Fusions,
    /// Whether matrices whose weights are bytes that share scales meet few vectors in integer dot products. Activations
    /// become bytes then, once for all matrices they meet, which changes logits a little.
    pub int8_dot: bool,
    /// Whether many vectors are multiplied by cooperative matrices where the device has them. Both operands are rounded to
    /// 16 bits then; sums stay as wide as they are.
    pub cooperative: bool,
}

impl Switches {
    /// What computes the most exact logits: for comparing them, not for speed.
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
