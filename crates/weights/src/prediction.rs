//! Layers of multi-token prediction: llama.cpp's converter puts them behind the others and counts them. They do not run.

use crate::{
    Array, Error, Metadata, Value,
    convention::{self, PREDICTION},
    entry::TensorEntry,
    layer::layer_of,
};

/// Removes the layers of multi-token prediction from a file. Returns a note about them.
///
/// # Errors
/// [`Error::RefusedKey`] if the tensors contradict the number of layers.
pub(crate) fn leave_out(
    metadata: &mut Metadata,
    tensors: &mut Vec<TensorEntry>,
) -> Result<Option<String>, Error> {
    let Ok(family) = convention::family(metadata.path(), metadata) else { return Ok(None) };
    let key = family.key(PREDICTION);
    if !family.has_key(PREDICTION) || metadata.find::<u32>(&key)?.unwrap_or(0) == 0 {
        return Ok(None);
    }
    let n = metadata.u32(&key)?;
    let layers = metadata.u32(&family.key("block_count"))?;
    let of_prediction = |it: &TensorEntry| {
        let (layer, rest) = layer_of(&it.name)?;
        rest.starts_with("nextn.").then_some(layer)
    };
    let first = tensors.iter().filter_map(of_prediction).min();
    // Some writers do not count them.
    let counted = layers.checked_sub(n).map(|it| it as usize);
    let kept = match first {
        Some(first) if Some(first) == counted || first == layers as usize => first,
        None => layers as usize,
        Some(first) => {
            let (path, value) = (metadata.path().to_owned(), n.to_string());
            let needs = format!("the layers from {first} on predict several tokens, of {layers}");
            return Err(Error::RefusedKey { path, key, value, needs });
        }
    };
    tensors.retain(|it| layer_of(&it.name).is_none_or(|it| it.0 < kept));
    let counts = family.key("block_count");
    metadata.set(counts, Value::U32(u32::try_from(kept).unwrap_or(layers)));
    let recurrent = family.key("attention.recurrent_layers");
    if let Some(Value::Array(Array::Bool(flags))) = metadata.value(&recurrent) {
        let flags = flags.iter().copied().take(kept).collect();
        metadata.set(recurrent, Value::Array(Array::Bool(flags)));
    }
    metadata.retain(|it| it != key);
    Ok(Some(format!(
        "the layers from {kept} on predict several tokens at once: they do not run, and are left out"
    )))
}
