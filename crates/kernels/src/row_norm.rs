//! Shared by the kernels that normalize rows, one workgroup a row: variants, sizes and the twin of RMSNorm.

use crate::common::{Reduce, bytes4};
use ridgeline_compute::Caps;

/// The rows of a launch: their number, and the values of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowNorm {
    pub(crate) rows: u64,
    pub(crate) cols: u64,
}

impl RowNorm {
    /// `n_rows` rows of `n_cols` values.
    pub(crate) fn new(n_rows: u32, n_cols: u32) -> Self {
        Self { rows: n_rows.into(), cols: n_cols.into() }
    }

    /// The heads of all tokens.
    pub(crate) fn of_heads(n_tokens: u32, n_heads: u32, head_dim: u32) -> Self {
        Self { rows: u64::from(n_tokens) * u64::from(n_heads), cols: head_dim.into() }
    }

    /// Values of all rows.
    pub(crate) const fn values(self) -> u64 {
        self.rows * self.cols
    }

    /// Bytes of all rows, in f32.
    pub(crate) fn bytes(self) -> u64 {
        bytes4(self.values())
    }

    /// Bytes of one row, such as the gains, in f32.
    pub(crate) fn row_bytes(self) -> u64 {
        bytes4(self.cols)
    }

    /// Bytes up to the end of the last row of the last token, in f32. A token has `per_token` rows, and its first is
    /// `first` values into the `ld` values of the token.
    pub(crate) fn strided_bytes(self, per_token: u32, ld: u32, first: u32) -> u64 {
        let tokens = self.rows / u64::from(per_token);
        bytes4((tokens - 1) * u64::from(ld) + u64::from(first) + u64::from(per_token) * self.cols)
    }
}

/// The fastest reduction of the device, and at most `most` invocations.
pub(crate) fn widest(caps: &Caps, most: u32) -> (Reduce, u32) {
    (Reduce::all(caps)[0], caps.max_invocations.min(most))
}

/// Implements `all`, `defines` and `groups` for kernels whose only fields are `reduce` and `workgroup_size`. Use it inside
/// `impl Kernel`. The module has `shape(&Params) -> RowNorm`.
macro_rules! row_norm_members {
    (workgroup_sizes: $sizes:expr) => {
        fn all(caps: &Caps) -> Vec<Self> {
            let with = |&reduce: &Reduce| $sizes.map(|workgroup_size| Self { reduce, workgroup_size });
            Reduce::all(caps).iter().flat_map(with).collect()
        }
        fn defines(&self) -> Defines {
            self.reduce.define(Defines::new(self.workgroup_size))
        }
        fn groups(&self, p: &Params) -> u64 {
            shape(p).rows
        }
    };
}
pub(crate) use row_norm_members;

/// x = x / sqrt(mean x² + eps) · gain, in f64 and rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
pub(crate) fn rms_norm(x: &mut [f32], gain: &[f32], eps: f32) {
    let squares: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let scale = 1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt();
    for (x, &gain) in x.iter_mut().zip(gain) {
        *x = (f64::from(*x) * scale * f64::from(gain)) as f32;
    }
}
