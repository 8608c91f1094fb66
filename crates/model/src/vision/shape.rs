//! The image that an encoder takes, and the order of its patches.

use crate::keys::{Keys, is_multiple};
use crate::{Config, Error};

/// Most patches along one edge of an image.
const MAX_EDGE: u32 = 128;

/// The size of an image and of what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Width and height of an image, in pixels.
    pub size: u32,
    /// Width and height of a patch, in pixels.
    pub patch: u32,
    /// Width and height of the square of patches that becomes one token.
    pub scale: u32,
    /// Values per token: the hidden width of the text model.
    pub width: u32,
}

impl ImageShape {
    /// Reads the sizes.
    pub(super) fn read(keys: Keys<'_>) -> Result<Self, Error> {
        let [size, patch] = [keys.size("image_size")?, keys.size("patch_size")?];
        let scale = keys.size_or("projector.scale_factor", 2)?;
        let width = keys.width("projection_dim")?;
        let shape = Self { size, patch, scale, width };
        let holds = patch > 0 && (1..=MAX_EDGE).contains(&(size / patch.max(1))) && patch <= 256;
        let rule = "it must have 1 to 128 patches of 1 to 256 pixels along each edge";
        keys.check("image_size", format!("{size} with a patch_size of {patch}"), holds, rule)?;
        let rule = "it must divide the number of patches along an edge";
        keys.check("projector.scale_factor", scale, is_multiple(shape.edge(), scale), rule)?;
        Ok(shape)
    }

    /// The hyperparameters that the layers share.
    pub(super) fn config(&self, keys: Keys<'_>) -> Result<Config, Error> {
        let layers = keys.size("block_count")?;
        keys.check("block_count", layers, (1..=4096).contains(&layers), "it must lie between 1 and 4096")?;
        let norm_eps = keys.number("attention.layer_norm_epsilon")?;
        keys.check("ε of the norms", norm_eps, norm_eps >= 0.0, "it must not be negative")?;
        Ok(Config {
            architecture: keys.architecture().to_owned(),
            layers: layers as usize,
            hidden: keys.width("embedding_length")? as usize,
            vocab: 0,
            norm_eps,
            embed_scale: 1.0,
            trained_context: self.patches(),
        })
    }

    /// Patches along one edge. Pixels behind the last whole patch are not seen.
    const fn edge(&self) -> u32 {
        self.size / self.patch
    }

    /// Patches of an image.
    #[must_use]
    pub const fn patches(&self) -> usize {
        (self.edge() * self.edge()) as usize
    }

    /// Patches that become one token.
    pub(super) const fn patches_per_token(&self) -> usize {
        (self.scale * self.scale) as usize
    }

    /// Tokens of an image.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.patches() / self.patches_per_token()
    }

    /// The values of an image: three channels of rows of pixels.
    #[must_use]
    pub const fn values(&self) -> usize {
        3 * self.size as usize * self.size as usize
    }

    /// The patches, by number in reading order, in the order of the encoder: those of one token follow each other.
    ///
    /// It is the pixel shuffle of Idefics3 (space to depth; Shi et al. 2016, inverted).
    pub(super) fn order(&self) -> Vec<usize> {
        let [edge, scale] = [self.edge(), self.scale].map(|it| it as usize);
        let blocks = edge / scale;
        let patch = |i: usize| {
            let (token, within) = (i / (scale * scale), i % (scale * scale));
            let row = token / blocks * scale + within / scale;
            let column = token % blocks * scale + within % scale;
            row * edge + column
        };
        (0..edge * edge).map(patch).collect()
    }

    /// The patches of an image (3, size, size) in the order of the encoder: (patches, `cols`), each with its channels one
    /// after the other. Zeros fill the columns behind them.
    pub(super) fn unfold(&self, pixels: &[f32], cols: usize) -> Vec<f32> {
        let [size, side, edge] = [self.size, self.patch, self.edge()].map(|it| it as usize);
        let mut patches = vec![0.0; self.patches() * cols];
        for (patch, to) in self.order().into_iter().zip(patches.chunks_exact_mut(cols)) {
            let (top, left) = (patch / edge * side, patch % edge * side);
            for (i, row) in to.chunks_exact_mut(side).take(3 * side).enumerate() {
                let (channel, y) = (i / side, top + i % side);
                row.copy_from_slice(&pixels[(channel * size + y) * size + left..][..side]);
            }
        }
        patches
    }
}

#[cfg(test)]
mod tests {
    use super::ImageShape;

    #[test]
    fn patches_of_a_token_follow_each_other() {
        let shape = ImageShape { size: 65, patch: 16, scale: 2, width: 8 };
        assert_eq!([shape.patches(), shape.tokens(), shape.values()], [16, 4, 3 * 65 * 65]);
        assert_eq!(shape.order(), [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]);
    }

    #[test]
    fn a_patch_has_its_channels_one_after_the_other() {
        // A pixel's value tells its channel, row and column. The last row and column belong to no patch.
        let shape = ImageShape { size: 5, patch: 2, scale: 2, width: 8 };
        let value = |channel, y, x| (100 * channel + 10 * y + x) as f32;
        let all = (0..3).flat_map(|c| (0..5).flat_map(move |y| (0..5).map(move |x| value(c, y, x))));
        let pixels: Vec<f32> = all.collect();
        let patches = shape.unfold(&pixels, 16);
        assert_eq!(patches.len(), 4 * 16);
        let first = [0.0, 1.0, 10.0, 11.0, 100.0, 101.0, 110.0, 111.0, 200.0, 201.0, 210.0, 211.0];
        assert_eq!(patches[..16], [&first[..], &[0.0; 4]].concat());
        let last: Vec<f32> = first.iter().map(|it| it + 22.0).collect();
        assert_eq!(patches[48..60], last);
    }
}
