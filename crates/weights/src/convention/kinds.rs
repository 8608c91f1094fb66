//! The kind of each layer: full attention, a sliding window, or a recurrent state.

use super::{
    Family,
    windows::{PATTERN, WIDTH},
};
use crate::{Array, Error, Metadata, Value};

/// What a layer sees of the tokens before its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LayerKind {
    /// Attention to all tokens before.
    Full,
    /// Attention to a window of this many tokens, the own one included.
    Windowed(u32),
    /// A recurrent state.
    Recurrent,
}

/// The key of the layers with a recurrent state: a flag per layer.
pub(super) const RECURRENT: &str = "attention.recurrent_layers";
/// In a hybrid, every n-th layer has full attention and the others a recurrent state.
pub(super) const INTERVAL: &str = "full_attention_interval";

/// Most layers. A list of their kinds must not fill the memory because a file says so.
pub(super) const MAX_LAYERS: u32 = 4096;

/// The kind of each layer, in order.
///
/// # Errors
/// [`Error::MissingKey`], [`Error::KeyType`], [`Error::RefusedKey`] for a list of another length than the layers.
pub(crate) fn layer_kinds(family: &Family, metadata: &Metadata) -> Result<Vec<LayerKind>, Error> {
    let key = family.key("block_count");
    let layers = metadata.u32(&key)?;
    if layers > MAX_LAYERS {
        return Err(Error::RefusedKey {
            path: metadata.path().to_owned(),
            key,
            value: layers.to_string(),
            needs: format!("it must be at most {MAX_LAYERS}"),
        });
    }
    let layers = layers as usize;
    let interval = metadata.find::<u32>(&family.key(INTERVAL))?.filter(|&it| it > 0);
    let recurrent = match flags(family, metadata, RECURRENT, layers)? {
        Some(flags) => flags,
        None => every(layers, interval),
    };
    // Some writers store -1, for no window, as the largest integer.
    let width = metadata.find::<u32>(&family.key(WIDTH))?.filter(|&it| it > 0 && it < u32::MAX);
    let windowed = flags(family, metadata, PATTERN, layers)?.unwrap_or_else(|| vec![true; layers]);
    let kind = |(&recurrent, &windowed): (&bool, &bool)| match width {
        _ if recurrent => LayerKind::Recurrent,
        Some(width) if windowed => LayerKind::Windowed(width),
        _ => LayerKind::Full,
    };
    Ok(recurrent.iter().zip(&windowed).map(kind).collect())
}

/// All layers but every n-th; none without n. `n` is above 0.
pub(super) fn every(layers: usize, n: Option<u32>) -> Vec<bool> {
    (1..=layers.min(MAX_LAYERS as usize)).map(|i| n.is_some_and(|n| i % n as usize != 0)).collect()
}

/// A flag per layer, or a period that stands for them.
fn flags(
    family: &Family,
    metadata: &Metadata,
    suffix: &str,
    layers: usize,
) -> Result<Option<Vec<bool>>, Error> {
    let key = family.key(suffix);
    let list = match metadata.value(&key) {
        Some(Value::Array(Array::Bool(list))) => list.clone(),
        Some(Value::Array(list)) => {
            list.values().map(|it| it != Value::U32(0) && it != Value::I32(0)).collect()
        }
        Some(_) => {
            let flags = |n| if n == 0 { vec![true; layers] } else { every(layers, Some(n)) };
            return Ok(metadata.find::<u32>(&key)?.map(flags));
        }
        None => return Ok(None),
    };
    if list.len() == layers {
        return Ok(Some(list));
    }
    Err(Error::RefusedKey {
        path: metadata.path().to_owned(),
        key,
        value: format!("a list of {}", list.len()),
        needs: format!("it must have a flag for each of the {layers} layers"),
    })
}

#[cfg(test)]
mod tests {
    use super::{LayerKind::*, *};
    use crate::convention::llama::FAMILY;
    use std::path::Path;

    #[test]
    fn a_hostile_number_of_layers_is_refused() {
        let mut metadata = Metadata::new(Path::new("x.gguf"), Vec::new());
        metadata.set("llama.block_count", Value::U32(u32::MAX));
        assert!(matches!(layer_kinds(&FAMILY, &metadata), Err(Error::RefusedKey { .. })));
        assert_eq!(every(usize::MAX, Some(4)).len(), MAX_LAYERS as usize);
    }

    fn kinds(keys: &[(&str, Value)]) -> Result<Vec<LayerKind>, Error> {
        let mut metadata = Metadata::new(Path::new("x.gguf"), Vec::new());
        metadata.set("llama.block_count", Value::U32(4));
        keys.iter().for_each(|(key, value)| metadata.set(format!("llama.{key}"), value.clone()));
        layer_kinds(&FAMILY, &metadata)
    }

    #[test]
    fn a_window_is_of_all_layers_or_of_those_that_a_pattern_names() {
        let flags = |it: [bool; 4]| Value::Array(Array::Bool(it.into()));
        let width = || (WIDTH, Value::U32(8));
        let w = Windowed(8);
        for (keys, expected) in [
            (&[][..], [Full; 4]),
            (&[width()], [w; 4]),
            (&[(WIDTH, Value::U32(u32::MAX))], [Full; 4]),
            (&[width(), (PATTERN, Value::U32(2))], [w, Full, w, Full]),
            (&[width(), (PATTERN, Value::U32(6))], [w; 4]),
            (&[width(), (PATTERN, Value::U32(0))], [w; 4]),
            (&[width(), (PATTERN, Value::U32(1))], [Full; 4]),
            (&[width(), (PATTERN, flags([false, false, true, true]))], [Full, Full, w, w]),
            (&[(PATTERN, Value::U32(2))], [Full; 4]),
            (&[(INTERVAL, Value::U32(4))], [Recurrent, Recurrent, Recurrent, Full]),
            (
                &[(INTERVAL, Value::U32(4)), (RECURRENT, flags([true, false, false, true]))],
                [Recurrent, Full, Full, Recurrent],
            ),
        ] {
            assert_eq!(kinds(keys).unwrap(), expected, "{keys:?}");
        }
        let short = Value::Array(Array::Bool(vec![true; 3]));
        assert!(matches!(kinds(&[width(), (PATTERN, short)]), Err(Error::RefusedKey { .. })));
    }
}
