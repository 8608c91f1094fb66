//! A model with another number of layers.

use crate::{
    Array, Error, LayerKind, Metadata, Value,
    convention::{self, Family},
};

/// The metadata of a model with `layers` layers, and for each of them the layer of this model that it copies. The first
/// ones are themselves. Beyond, a layer is a copy of the last one of its kind, and kinds repeat in the order of this model.
///
/// # Errors
/// [`Error::MissingKey`] without a number of layers, and as [`convention::layer_kinds`].
pub(crate) fn with_layers(
    family: &Family,
    metadata: &Metadata,
    layers: Option<usize>,
) -> Result<(Metadata, Vec<usize>), Error> {
    let key = family.key("block_count");
    let stored = metadata.u32(&key)? as usize;
    let n = layers.unwrap_or(stored);
    let mut new = metadata.clone();
    new.set(key, Value::U32(u32::try_from(n).unwrap_or(u32::MAX)));
    if n == stored {
        return Ok((new, (0..n).collect()));
    }
    let prefix = format!("{}.", family.architecture);
    for (key, value) in metadata.iter().filter(|it| it.0.starts_with(&prefix)) {
        if let Value::Array(Array::Bool(flags)) = value
            && flags.len() == stored
            && stored > 0
        {
            let flags = (0..n).map(|i| flags[i % stored]).collect();
            new.set(key, Value::Array(Array::Bool(flags)));
        }
    }
    let (before, after) =
        (convention::layer_kinds(family, metadata)?, convention::layer_kinds(family, &new)?);
    let source = |(i, kind): (usize, &LayerKind)| {
        let same = || before.iter().rposition(|it| it == kind).unwrap_or(stored.saturating_sub(1));
        if i < stored { i } else { same() }
    };
    Ok((new, after.iter().enumerate().map(source).collect()))
}
