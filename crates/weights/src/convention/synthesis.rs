//! The metadata and tensors of a shape, by the tables of its family.

use std::path::Path;

use super::{Keys, Presence, TensorRule, by_architecture};
use crate::{Error, Metadata, Shape, Value, shape::LARGEST};

/// Name and shape of each tensor.
type Tensors = Vec<(String, Vec<usize>)>;

/// The canonical metadata and tensor list of a shape.
///
/// # Errors
/// [`Error::UnknownFamily`], [`Error::RefusedKey`] for a key that the family does not have, [`Error::MissingKey`],
/// [`Error::ShapeDimensions`].
pub(crate) fn synthesise(path: &Path, shape: &Shape) -> Result<(Metadata, Tensors), Error> {
    let family = by_architecture(path, &shape.architecture)?;
    let mut metadata = Metadata::new(path, Vec::new());
    metadata.set("general.architecture", Value::Str(shape.architecture.clone()));
    metadata.set("general.type", Value::Str("model".to_owned()));
    metadata.set("general.name", Value::Str(shape.name.clone()));
    // Families differ in the key of ε, and a mixture may have no dense layer.
    for (suffix, value) in shape.common_keys().into_iter().filter(|it| family.has_key(it.0)) {
        metadata.set(family.key(suffix), value);
    }
    for (suffix, value) in shape.own_keys()? {
        if !family.has_key(&suffix) {
            return Err(Error::RefusedKey {
                path: path.to_owned(),
                key: format!("metadata.{suffix}"),
                value: format!("{value:?}"),
                needs: format!("the family `{}` has no such key", family.architecture),
            });
        }
        metadata.set(family.key(&suffix), value);
    }
    family.fill_in(&mut metadata)?;

    let keys = Keys { family, metadata: &metadata };
    let wanted = |rule: &&TensorRule| match rule.presence {
        Presence::Always => true,
        Presence::Untied => !shape.tied_head,
        Presence::Sometimes => false,
    };
    let sized = |rule: &TensorRule| -> Result<Vec<usize>, Error> {
        let sizes = rule.shape.iter().map(|it| it.of(keys)).collect::<Result<Vec<_>, _>>()?;
        let problem = "a dimension of a tensor is zero or above the limit of 16 777 216";
        let valid = sizes.iter().all(|it| (1..=LARGEST).contains(it));
        if valid { Ok(sizes) } else { Err(Error::ShapeDimensions { name: shape.name.clone(), problem }) }
    };
    let (layered, global): (Vec<_>, Vec<_>) =
        family.tensors().filter(wanted).partition(|rule| rule.gguf.contains('*'));
    let mut tensors = Vec::new();
    for rule in global {
        tensors.push((rule.gguf.to_owned(), sized(rule)?));
    }
    for layer in 0..shape.layers {
        for rule in layered.iter().filter(|rule| (rule.layers)(layer, keys)) {
            tensors.push((rule.gguf.replacen('*', &layer.to_string(), 1), sized(rule)?));
        }
    }
    Ok((metadata, tensors))
}
