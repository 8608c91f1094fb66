//! How a model is measured: whole, or with fewer layers, and how many tokens of it at a time.

use ridgeline_weights::{Checkpoint, LayerKind};
use std::time::Duration;

/// The size of a model against the speed and memory of the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    bytes: u64,
    /// Layers of the model.
    pub layers: usize,
    pattern: Pattern,
    /// Least seconds of a decode step.
    step_s: f64,
    memory: u64,
}

/// How unlike layers follow each other: after `lead` layers of their own, kinds repeat every `period` layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pattern {
    lead: usize,
    period: usize,
}

impl Pattern {
    /// The shortest pattern of layers with these kinds.
    fn of<T: PartialEq>(kinds: &[T]) -> Self {
        let repeats =
            |lead: usize, period: usize| kinds[lead..].windows(period + 1).all(|w| w[0] == w[period]);
        let mut all = (1..=kinds.len()).flat_map(|sum| (0..sum).map(move |lead| (lead, sum - lead)));
        let found = all.find(|&(lead, period)| repeats(lead, period));
        found.map_or(Self { lead: 0, period: kinds.len().max(1) }, |(lead, period)| Self { lead, period })
    }

    /// The largest number of layers up to `most` that ends as `layers` layers do, or the smallest such number. Two such
    /// numbers differ by whole periods.
    fn round(self, most: usize, layers: usize) -> usize {
        let (least, beyond) = (self.lead.max(1), layers % self.period);
        let first = least + (beyond + self.period - least % self.period) % self.period;
        first + most.saturating_sub(first) / self.period * self.period
    }
}

/// What a layer sees, and the names and shapes of its tensors.
#[derive(PartialEq)]
struct Layer {
    kind: LayerKind,
    tensors: Vec<(String, Vec<usize>)>,
}

/// The layers of a model, in order.
fn layers_of(checkpoint: &Checkpoint) -> anyhow::Result<Vec<Layer>> {
    let empty = |kind| Layer { kind, tensors: Vec::new() };
    let mut layers: Vec<Layer> = checkpoint.layer_kinds()?.into_iter().map(empty).collect();
    for tensor in checkpoint.tensors() {
        let layer = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
        let at = layer.and_then(|(layer, name)| Some((layer.parse::<usize>().ok()?, name)));
        if let Some((layer, name)) = at
            && let Some(layer) = layers.get_mut(layer)
        {
            layer.tensors.push((name.to_owned(), tensor.shape.to_vec()));
        }
    }
    layers.iter_mut().for_each(|layer| layer.tensors.sort_unstable());
    Ok(layers)
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
        let architecture = checkpoint.metadata().str("general.architecture")?;
        let layers = checkpoint.metadata().u32(&format!("{architecture}.block_count"))? as usize;
        let bytes = weight_bytes(checkpoint);
        let pattern = Pattern::of(&layers_of(checkpoint)?);
        Ok(Self { bytes, layers, pattern, step_s: bytes_read(checkpoint) / bytes_per_s, memory })
    }

    /// Whether the model can be measured whole: it leaves half of the memory free, and is not too slow.
    pub(crate) const fn fits(&self) -> bool {
        2 * self.bytes < self.memory && self.step_s <= LONGEST_STEP_S
    }

    /// Numbers of layers of random weights in its shape; `None` where all layers are few enough. The two numbers and that
    /// of the model differ by whole periods of its layers, so that time and cost are on a line.
    pub(crate) fn cut_shape(&self) -> Option<[usize; 2]> {
        if self.step_s <= SHAPE_STEP_S && self.bytes <= SHAPE_BYTES || self.layers < 4 {
            return None;
        }
        let share = (SHAPE_STEP_S / self.step_s).min(SHAPE_BYTES as f64 / self.bytes as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the number of layers"
        )]
        let more = (share * self.layers as f64) as usize;
        let more = more.clamp(2, self.layers - 1);
        let few = self.pattern.round(more / 2, self.layers);
        let more = self.pattern.round(more.max(few + self.pattern.period), self.layers);
        (more < self.layers).then_some([few, more])
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
    use super::{Pattern, Size, layers_of};
    use ridgeline_quant::Format;
    use ridgeline_weights::{Checkpoint, Shape};
    use std::path::Path;

    #[test]
    fn large_models_are_measured_with_fewer_layers() {
        let pattern = Pattern { lead: 0, period: 1 };
        let size = |bytes: u64, step_s: f64| Size { bytes, layers: 32, pattern, step_s, memory: 16 << 30 };
        assert_eq!(size(8 << 20, 0.001).cut_shape(), None);
        assert_eq!(size(4 << 30, 0.3).cut_shape(), Some([1, 3]));
        assert_eq!(size(4 << 30, 0.002).cut_shape(), Some([2, 4]), "memory counts too");
        assert_eq!(size(16 << 30, 30.0).cut_shape(), Some([1, 2]));
        assert!(size(4 << 30, 0.3).fits() && !size(9 << 30, 0.3).fits() && !size(1 << 30, 3.0).fits());
        assert_eq!((size(8 << 20, 0.001).tokens(), size(4 << 30, 0.3).tokens()), (64, 4));
    }

    #[test]
    fn numbers_of_layers_differ_by_whole_periods() {
        let cut = |layers, lead, period| {
            let pattern = Pattern { lead, period };
            Size { bytes: 4 << 30, layers, pattern, step_s: 0.3, memory: 16 << 30 }.cut_shape()
        };
        assert_eq!(cut(24, 0, 4), Some([4, 8]), "Qwen3.5: three recurrent layers, then attention");
        assert_eq!(cut(26, 0, 6), Some([2, 8]), "Gemma-3 ends after two layers of a period");
        assert_eq!(cut(27, 1, 1), Some([1, 2]), "a leading dense layer is in both");
        assert_eq!(cut(6, 0, 4), None, "too few layers for two of them");
    }

    #[test]
    fn patterns_are_the_shortest() {
        let of = |kinds: &str| Pattern::of(&kinds.chars().collect::<Vec<_>>());
        for (kinds, lead, period) in
            [("aaaa", 0, 1), ("aaabaaab", 0, 4), ("daaaa", 1, 1), ("aaaaabaaaaabaa", 0, 6), ("a", 0, 1)]
        {
            assert_eq!(of(kinds), Pattern { lead, period }, "{kinds}");
        }
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let text = std::fs::read_to_string(models.join("smollm2-135m.toml")).expect("a shape");
        let shape = Shape::from_toml(&text).expect("a shape");
        let checkpoint = Checkpoint::random(&shape, Format::HALF, 0).expect("random weights");
        let found = Pattern::of(&layers_of(&checkpoint).expect("layers"));
        assert_eq!(found, Pattern { lead: 0, period: 1 });
        let hybrid = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data/qwen35");
        let hybrid = Checkpoint::open(&hybrid).expect("a model");
        assert_eq!(Pattern::of(&layers_of(&hybrid).expect("layers")).period, 4);
    }
}
