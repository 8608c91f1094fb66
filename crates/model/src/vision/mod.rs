//! Images: a SigLIP encoder (Zhai et al. 2023) and the connector of Idefics3 (Laurençon et al. 2024) make embeddings of
//! text tokens.
//!
//! ```text
//! patches (n, 3 · side²) → linear + positions → layers of bidirectional attention → norm
//!     → pixel shuffle: scale × scale patches side by side become one row → linear → (n / scale², hidden of the text)
//! ```
//!
//! Bidirectional attention does not depend on the order of its tokens. So patches are uploaded in the order that makes the
//! pixel shuffle a view: those of one row follow each other.

mod encoder;
mod heads;
mod shape;

use crate::config::dim32;
use crate::keys::Keys;
use crate::layers::{Block, FeedForward, Heads, Mixer, Mlp, Norm, NormKind, Wiring};
use crate::matrix::{Vector, WeightMatrix};
use crate::reserved::Reserved;
use crate::{Activation, Config, Error, LoadReport, Loader, Ops, Temp};
pub use encoder::ImageEncoder;
use ridgeline_compute::Executor;
use ridgeline_kernels::{Activation as Function, Tuning};
use ridgeline_quant::Format;
use ridgeline_weights::Checkpoint;
pub use shape::ImageShape;

/// Layers with the norms and biases of an image encoder.
const WIRING: Wiring =
    Wiring { norm: NormKind::Layer, prefix: "v.blk", mixer_norm: "ln1", ffn_norm: "ln2", parallel: false };

/// An image encoder with its connector. It does not change after loading.
#[derive(Debug)]
pub struct VisionModel {
    /// What it takes and gives.
    pub shape: ImageShape,
    config: Config,
    patches: WeightMatrix, // (hidden, 3 * side * side)
    patch_bias: Vector,    // (hidden)
    positions: Vector,     // (patches, hidden), in the order of the patches
    blocks: Vec<Block>,
    norm: Norm,              // (hidden)
    connector: WeightMatrix, // (hidden width of the text model, scale * scale * hidden)
    heads: Heads,
    reserved: Reserved,
    tuning: Tuning,
    report: LoadReport,
}

impl VisionModel {
    /// Loads the part of a checkpoint that sees images onto a device ([`Checkpoint::open_vision`]).
    ///
    /// # Errors
    /// A checkpoint of another kind, a missing or misshapen tensor, an invalid dimension, or a device too small.
    pub fn load(checkpoint: &Checkpoint, executor: &mut dyn Executor) -> Result<Self, Error> {
        checkpoint.check()?;
        let keys = Keys::vision(checkpoint)?;
        let gelu = checkpoint.metadata().find::<bool>("clip.use_gelu")? == Some(true);
        keys.check(
            "clip.use_gelu",
            gelu,
            gelu,
            "only GELU in its tanh form is supported, and this key names it",
        )?;
        let shape = ImageShape::read(keys)?;
        let config = shape.config(keys)?;
        let (heads, width) = heads::read(keys, dim32(config.hidden))?;
        let ffn = keys.width("feed_forward_length")?;
        let mut loader = Loader::new(keys, executor);
        let (hidden, side) = (config.hidden, shape.patch as usize);
        let values = 3 * side * side;
        // Kernels read whole vectors, so zeros pad a patch.
        let columns = values.next_multiple_of(Format::SINGLE.spec().unpack_len);
        let patches = ("v.patch_embd.weight", &[hidden, 3, side, side][..]);
        let patches = loader.gathered_matrix(patches, [hidden, columns], |row, column| {
            (column < values).then_some(row * values + column)
        })?;
        loader.reserve(Temp::Patches, patches.cols);
        loader.reserve(Temp::Residual, dim32(hidden));
        let attention = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<Box<dyn Mixer>, Error> {
            Ok(Box::new(heads::attention(loader, prefix, &config, (heads, width))?))
        };
        let mlp = |loader: &mut Loader<'_>, _, prefix: &str| -> Result<Box<dyn FeedForward>, Error> {
            let mlp = Mlp::load(loader, prefix, &config, (ffn, Function::GeluTanh))?;
            Ok(Box::new(mlp.with_bias(loader, prefix)?))
        };
        let blocks = Block::load_all(&mut loader, &config, WIRING, attention, mlp)?;
        let columns = shape.patches_per_token() * hidden;
        loader.reserve(Temp::ImageTokens, shape.width);
        let patch_bias = loader.vector("v.patch_embd.bias", hidden)?;
        let order = shape.order();
        let positions = (&["v.position_embd.weight"][..], &[order.len(), hidden][..]);
        let positions = loader
            .gathered(positions, order.len() * hidden, |i| Some(order[i / hidden] * hidden + i % hidden))?;
        let norm = Norm::load(&mut loader, NormKind::Layer, "v.post_ln", hidden)?;
        let connector = loader.matrix("mm.model.fc.weight", shape.width as usize, columns)?;
        let (report, reserved) = loader.finish(&config)?;
        let tuning = Tuning::default();
        Ok(Self {
            shape,
            config,
            patches,
            patch_bias,
            positions,
            blocks,
            norm,
            connector,
            heads,
            reserved,
            tuning,
            report,
        })
    }

    /// Parameters and bytes.
    #[must_use]
    pub const fn report(&self) -> LoadReport {
        self.report
    }

    /// Records the encoder for the patches in [`Temp::Patches`]. Returns the embeddings of the image's tokens.
    fn forward(&self, ops: &mut Ops<'_>) -> Activation {
        ops.enter_module("patch_embd");
        let patches = ops.activation(Temp::Patches, self.patches.cols);
        let x = ops.project(&self.patches, Some(&self.patch_bias), patches, Temp::Residual);
        ops.add_all(x, &self.positions);
        for (layer, block) in self.blocks.iter().enumerate() {
            ops.layer = Some(dim32(layer));
            // No token comes after these, so all layers store keys and values in the same place.
            block.forward(ops, 0);
        }
        ops.layer = None;
        ops.enter_module("post_ln");
        let x = ops.norm(ops.residual(), &self.norm, Temp::Normed);
        ops.enter_module("connector");
        let merged = ops.merge_rows(x, dim32(self.shape.patches_per_token()));
        ops.project(&self.connector, None, merged, Temp::ImageTokens)
    }
}
