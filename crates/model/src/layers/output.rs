//! The last projection of half a layer. Its result is added to the residual stream.

use crate::{Activation, Error, Loader, Ops, Temp, Vector, WeightMatrix};

/// A projection to the residual stream, with optional bias and post-norm.
#[derive(Debug)]
pub struct Output {
    weight: WeightMatrix, // (hidden, cols)
    bias: Option<Vector>, // (hidden)
    /// Gain of the RMSNorm between the projection and the residual stream, and its module.
    post_norm: Option<(Vector, &'static str)>,
}

impl Output {
    /// Loads `<name>.weight` of `hidden` rows and `cols` columns.
    ///
    /// # Errors
    /// A missing tensor, another shape, a device too small.
    pub fn load(loader: &mut Loader<'_>, name: &str, hidden: usize, cols: usize) -> Result<Self, Error> {
        let weight = loader.matrix(&format!("{name}.weight"), hidden, cols)?;
        Ok(Self::new(loader, weight))
    }

    /// A projection by a loaded matrix.
    pub(crate) fn new(loader: &mut Loader<'_>, weight: WeightMatrix) -> Self {
        loader.reserve(Temp::BlockOut, weight.rows);
        Self { weight, bias: None, post_norm: None }
    }

    /// Loads `<name>.bias` too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_bias(self, loader: &mut Loader<'_>, name: &str) -> Result<Self, Error> {
        let bias = loader.vector(&format!("{name}.bias"), self.weight.rows as usize)?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// Loads the post-norm `<name>.weight` too. Its launches are labelled `module`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn with_post_norm(
        self,
        loader: &mut Loader<'_>,
        name: &str,
        module: &'static str,
    ) -> Result<Self, Error> {
        let gain = loader.vector(&format!("{name}.weight"), self.weight.rows as usize)?;
        Ok(Self { post_norm: Some((gain, module)), ..self })
    }

    /// Records the projection of x (tokens, cols) and adds it to the residual stream.
    pub fn forward(&self, ops: &mut Ops<'_>, x: Activation) {
        let Some((gain, module)) = &self.post_norm else {
            ops.linear_add_residual(&self.weight, self.bias.as_ref(), x);
            return;
        };
        let out = ops.project(&self.weight, self.bias.as_ref(), x, Temp::BlockOut);
        ops.enter_module(module);
        ops.norm_add_residual(out, gain);
    }
}
