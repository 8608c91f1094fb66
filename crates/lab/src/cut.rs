//! A model measured with two smaller numbers of layers in place of all.
//!
//! The numbers of layers differ by whole periods of unlike layers, so that time and cost are on a straight line:
//!
//! ```text
//! T(L) = T(b) + (L − b) · (T(b) − T(a)) / (b − a)      a < b < L layers
//! ```

use ridgeline_measure::models;
use ridgeline_weights::{Checkpoint, Error, LayerKind};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// Two numbers of layers that were measured, and that of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// The smaller and the larger number.
    pub measured: [usize; 2],
    /// Layers of the model.
    pub of: usize,
}

impl Cut {
    /// The distance of the model from the larger number, in units of that between the two.
    pub(crate) fn by(&self) -> f64 {
        let [few, more] = self.measured;
        (self.of as f64 - more as f64) / (more as f64 - few as f64)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measured: [few, more], of } = self;
        write!(f, "{few} and {more} of {of} layers")
    }
}

/// How unlike layers follow each other: after `lead` layers of their own, kinds repeat every `period` layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    lead: usize,
    period: usize,
    /// All layers.
    pub layers: usize,
}

impl Pattern {
    /// The pattern of a model's layers.
    ///
    /// # Errors
    /// The metadata name no family or no number of layers.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        Ok(Self::shortest(&layers_of(checkpoint)?))
    }

    /// The shortest pattern of layers with these kinds.
    fn shortest<T: PartialEq>(kinds: &[T]) -> Self {
        let layers = kinds.len();
        let repeats =
            |lead: usize, period: usize| kinds[lead..].windows(period + 1).all(|w| w[0] == w[period]);
        let mut all = (1..=layers).flat_map(|sum| (0..sum).map(move |lead| (lead, sum - lead)));
        let (lead, period) = all.find(|&(lead, period)| repeats(lead, period)).unwrap_or((0, layers.max(1)));
        Self { lead, period, layers }
    }

    /// The largest number of layers up to `most` that ends as all layers do, or the smallest such number. Two such numbers
    /// differ by whole periods.
    fn round(self, most: usize) -> usize {
        let (least, beyond) = (self.lead.max(1), self.layers % self.period);
        let first = least + (beyond + self.period - least % self.period) % self.period;
        first + most.saturating_sub(first) / self.period * self.period
    }

    /// Two numbers of layers, the larger about this share of all; `None` where the model has too few layers.
    pub(crate) fn cut(self, share: f64) -> Option<Cut> {
        if self.layers < 4 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the number of layers"
        )]
        let more = ((share * self.layers as f64) as usize).clamp(2, self.layers - 1);
        let few = self.round(more / 2);
        let more = self.round(more.max(few + self.period));
        (more < self.layers).then_some(Cut { measured: [few, more], of: self.layers })
    }
}

/// Two numbers of layers of a model, the larger about this share of all.
///
/// `None` where it has too few layers, or a mix gives its layers unlike quantization types.
///
/// # Errors
/// As [`Pattern::of`].
pub(crate) fn cut(checkpoint: &Checkpoint, share: f64) -> Result<Option<Cut>, Error> {
    let pattern = Pattern::of(checkpoint)?;
    Ok(pattern.cut(share).filter(|_| is_uniform(checkpoint)))
}

/// Whether equal tensors of all layers have one quantization type.
fn is_uniform(checkpoint: &Checkpoint) -> bool {
    let mut formats = HashMap::new();
    let mut own = checkpoint.tensors().filter_map(|it| Some((in_layer(it.name)?.1.to_owned(), it.format)));
    own.all(|(name, format)| *formats.entry(name).or_insert(format) == format)
}

/// Layer of a tensor, and its name there; `None` outside the layers.
fn in_layer(name: &str) -> Option<(usize, &str)> {
    let (layer, name) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((layer.parse().ok()?, name))
}

/// The name of random weights in the shape of a model with another number of layers, in the same quantization.
pub(crate) fn with_layers(model: &str, layers: usize) -> String {
    let quantization = models::split_quantization(model).1.map_or_else(String::new, |it| format!(":{it}"));
    format!("{}@{layers}{quantization}", models::shape_of(model))
}

/// What a layer sees, and the names and shapes of its tensors.
#[derive(PartialEq)]
struct Layer {
    kind: LayerKind,
    tensors: Vec<(String, Vec<usize>)>,
}

/// The layers of a model, in order.
fn layers_of(checkpoint: &Checkpoint) -> Result<Vec<Layer>, Error> {
    let empty = |kind| Layer { kind, tensors: Vec::new() };
    let mut layers: Vec<Layer> = checkpoint.layer_kinds()?.into_iter().map(empty).collect();
    for tensor in checkpoint.tensors() {
        if let Some((layer, name)) = in_layer(tensor.name)
            && let Some(layer) = layers.get_mut(layer)
        {
            layer.tensors.push((name.to_owned(), tensor.shape.to_vec()));
        }
    }
    layers.iter_mut().for_each(|layer| layer.tensors.sort_unstable());
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use super::{Cut, Pattern, cut, with_layers};
    use ridgeline_quant::Format;
    use ridgeline_weights::{Checkpoint, Shape};
    use std::path::Path;

    #[test]
    fn numbers_of_layers_differ_by_whole_periods() {
        let numbers =
            |layers, lead, period, share| Pattern { lead, period, layers }.cut(share).map(|it| it.measured);
        assert_eq!(numbers(32, 0, 1, 0.125), Some([2, 4]));
        assert_eq!(numbers(32, 0, 1, 0.0), Some([1, 2]));
        assert_eq!(numbers(24, 0, 4, 0.1), Some([4, 8]), "Qwen3.5: three recurrent layers, then attention");
        assert_eq!(numbers(26, 0, 6, 0.1), Some([2, 8]), "Gemma-3 ends after two layers of a period");
        assert_eq!(numbers(27, 1, 1, 0.1), Some([1, 2]), "a leading dense layer is in both");
        assert_eq!(numbers(6, 0, 4, 0.1), None, "too few layers for two of them");
        assert_eq!(numbers(3, 0, 1, 0.1), None);
    }

    #[test]
    fn the_model_lies_on_the_line() {
        let cut = Cut { measured: [2, 4], of: 32 };
        assert!((cut.by() - 14.0).abs() < 1e-12);
        assert_eq!(cut.to_string(), "2 and 4 of 32 layers");
    }

    #[test]
    fn patterns_are_the_shortest() {
        let of = |kinds: &str| Pattern::shortest(&kinds.chars().collect::<Vec<_>>());
        for (kinds, lead, period) in
            [("aaaa", 0, 1), ("aaabaaab", 0, 4), ("daaaa", 1, 1), ("aaaaabaaaaabaa", 0, 6), ("a", 0, 1)]
        {
            assert_eq!(of(kinds), Pattern { lead, period, layers: kinds.len() }, "{kinds}");
        }
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        let text = std::fs::read_to_string(models.join("smollm2-135m.toml")).expect("a shape");
        let shape = Shape::from_toml(&text).expect("a shape");
        let checkpoint = Checkpoint::random(&shape, Format::HALF, 0).expect("random weights");
        let found = Pattern::of(&checkpoint).expect("layers");
        assert_eq!(found, Pattern { lead: 0, period: 1, layers: 30 });
        let hybrid = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data/qwen35");
        let hybrid = Checkpoint::open(&hybrid).expect("a model");
        assert_eq!(Pattern::of(&hybrid).expect("layers").period, 4);
    }

    #[test]
    fn a_mix_is_not_cut() {
        let open = |name: &str| ridgeline_measure::models::checkpoint(name, None).expect("random weights");
        assert!(cut(&open("smollm2-135m:q4_k"), 0.0).expect("layers").is_some());
        assert_eq!(cut(&open("smollm2-135m:q4_k_m"), 0.0).expect("layers"), None);
    }

    #[test]
    fn the_quantization_stays() {
        assert_eq!(with_layers("mistral-7b", 2), "shape:mistral-7b@2");
        assert_eq!(with_layers("mistral-7b:q4_k_m", 2), "shape:mistral-7b@2:q4_k_m");
    }
}
