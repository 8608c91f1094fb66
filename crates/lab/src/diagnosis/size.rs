//! How a model is measured: whole, or with fewer layers, and how many tokens of it at a time.

use crate::cut::{Cut, Pattern};
use ridgeline_weights::Checkpoint;
use std::time::Duration;

/// The size of a model against the speed and memory of the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    bytes: u64,
    pattern: Pattern,
    /// Least seconds of a decode step.
    step_s: f64,
    memory: u64,
}

/// Longest decode step of a model that is measured whole, seconds.
const LONGEST_STEP_S: f64 = 2.0;

/// Longest decode step of random weights, seconds; larger models are measured with fewer layers.
const SHAPE_STEP_S: f64 = 0.03;

/// Most bytes of random weights.
const SHAPE_BYTES: u64 = 512 << 20;

/// Seconds of one repetition of the generation.
const REPETITION_S: f64 = 0.1;

/// Most tokens of the generation.
const MAX_TOKENS: f64 = 64.0;

/// Weights from which the default time of a diagnosis is longer, bytes.
const LARGE: u64 = 128 << 20;

/// Time of a diagnosis where the user gives none.
pub(crate) fn default_time(checkpoint: &Checkpoint) -> Duration {
    Duration::from_secs(if is_large(checkpoint) { 120 } else { 45 })
}

/// Whether loading and quantizing the weights takes long.
pub(crate) fn is_large(checkpoint: &Checkpoint) -> bool {
    weight_bytes(checkpoint) > LARGE
}

/// Bytes of weights that one token reads: of a mixture, those of the experts in use.
fn bytes_read(checkpoint: &Checkpoint) -> f64 {
    let metadata = checkpoint.metadata();
    let architecture = metadata.str("general.architecture").unwrap_or_default();
    let count = |name: &str| metadata.u32(&format!("{architecture}.{name}")).ok().filter(|it| *it > 0);
    let share = match (count("expert_used_count"), count("expert_count")) {
        (Some(used), Some(all)) => f64::from(used.min(all)) / f64::from(all),
        _ => 1.0,
    };
    let read = |it: ridgeline_weights::TensorInfo<'_>| {
        it.bytes as f64 * if it.name.ends_with("_exps.weight") { share } else { 1.0 }
    };
    checkpoint.tensors().map(read).sum()
}

/// Bytes of all tensors.
fn weight_bytes(checkpoint: &Checkpoint) -> u64 {
    checkpoint.tensors().map(|it| it.bytes).sum()
}

impl Size {
    /// The size of a model on a device with this memory and memory bandwidth.
    ///
    /// # Errors
    /// The metadata name no family or no number of layers.
    pub(crate) fn of(checkpoint: &Checkpoint, bytes_per_s: f64, memory: u64) -> anyhow::Result<Self> {
        let bytes = weight_bytes(checkpoint);
        let pattern = Pattern::of(checkpoint)?;
        Ok(Self { bytes, pattern, step_s: bytes_read(checkpoint) / bytes_per_s, memory })
    }

    /// Whether the model can be measured whole: it leaves half of the memory free, and is not too slow.
    pub(crate) const fn fits(&self) -> bool {
        2 * self.bytes < self.memory && self.step_s <= LONGEST_STEP_S
    }

    /// Layers of the model.
    pub(crate) const fn layers(&self) -> usize {
        self.pattern.layers
    }

    /// Numbers of layers of random weights in its shape; `None` where all layers are few enough, or too few to cut.
    pub(crate) fn cut_shape(&self) -> Option<Cut> {
        if self.step_s <= SHAPE_STEP_S && self.bytes <= SHAPE_BYTES {
            return None;
        }
        self.pattern.cut((SHAPE_STEP_S / self.step_s).min(SHAPE_BYTES as f64 / self.bytes as f64))
    }

    /// Tokens of one repetition of the generation.
    pub(crate) fn tokens(&self) -> usize {
        let step_s = if self.cut_shape().is_some() { SHAPE_STEP_S } else { self.step_s };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most MAX_TOKENS")]
        let tokens = (REPETITION_S / step_s).clamp(4.0, MAX_TOKENS) as usize;
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Size};
    use ridgeline_quant::Format;
    use ridgeline_weights::{Checkpoint, Shape};
    use std::path::Path;

    #[test]
    fn large_models_are_measured_with_fewer_layers() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let text = std::fs::read_to_string(models.join("mistral-7b.toml")).expect("a shape");
        let shape = Shape::from_toml(&text).expect("a shape");
        let checkpoint = Checkpoint::random(&shape, Format::HALF, 0).expect("random weights");
        let pattern = Pattern::of(&checkpoint).expect("layers");
        let size = |bytes: u64, step_s: f64| Size { bytes, pattern, step_s, memory: 16 << 30 };
        let cut = |bytes, step_s| size(bytes, step_s).cut_shape().map(|it| it.measured);
        assert_eq!(cut(8 << 20, 0.001), None);
        assert_eq!(cut(4 << 30, 0.3), Some([1, 3]));
        assert_eq!(cut(4 << 30, 0.002), Some([2, 4]), "memory counts too");
        assert_eq!(cut(16 << 30, 30.0), Some([1, 2]));
        assert!(size(4 << 30, 0.3).fits() && !size(9 << 30, 0.3).fits() && !size(1 << 30, 3.0).fits());
        assert_eq!((size(8 << 20, 0.001).tokens(), size(4 << 30, 0.3).tokens()), (64, 4));
    }
}
