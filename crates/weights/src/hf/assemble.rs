//! A folder's tensors as GGUF's: renamed, stacked, split, and in GGUF's order of rows.

use std::{collections::HashMap, path::Path};

use ridgeline_quant::Format;

use crate::{
    Error, Metadata,
    convention::{Config, Keys, Transform, matched},
    entry::{Derived, Storage, TensorEntry},
};

/// The canonical tensors, in the order of the stored ones. Each rule of the family takes the stored tensors that it matches, so
/// that one of them can give several.
///
/// # Errors
/// [`Error::TensorEntry`] for a tensor whose shape or type has no such form, or experts that are missing.
pub(super) fn assemble(
    path: &Path,
    config: &Config<'_>,
    metadata: &Metadata,
    stored: Vec<TensorEntry>,
) -> Result<Vec<TensorEntry>, Error> {
    let keys = Keys { family: config.family, metadata };
    let by_mlx = stored.iter().any(is_filter_of_mlx);
    let mut entries = Vec::with_capacity(stored.len());
    let mut experts: HashMap<String, Vec<(usize, TensorEntry)>> = HashMap::new();
    for entry in stored {
        let Some(name) = config.name_in_family(&entry.name) else { continue };
        for rule in config.family.tensors() {
            let Some(found) = matched(rule.hf, &name) else { continue };
            let canonical = rule.gguf.replacen('*', found.layer, 1);
            let transform = match rule.transform {
                Transform::AddOne if by_mlx => Transform::Same,
                other => other,
            };
            if transform == Transform::StackExperts {
                let stack = experts.entry(canonical.clone()).or_default();
                if stack.is_empty() {
                    // Its place among the tensors; the stack follows when all are known.
                    entries.push(TensorEntry { name: canonical, ..entry.clone() });
                }
                stack.push((found.expert.parse().unwrap_or(usize::MAX), entry.clone()));
            } else {
                entries.push(in_form(path, keys, transform, canonical, entry.clone())?);
            }
        }
    }
    for entry in &mut entries {
        if let Some(stack) = experts.remove(&entry.name) {
            *entry = stacked(path, keys, &entry.name, stack)?;
        }
    }
    Ok(entries)
}

fn refuse(path: &Path, tensor: &str, problem: &'static str) -> Error {
    Error::TensorEntry { path: path.to_owned(), tensor: tensor.to_owned(), problem }
}

/// Whether a filter of a convolution has MLX's order of the dimensions, `[channels, width, 1]`. In such folders, mlx-lm has
/// added one to the gains of norms.
fn is_filter_of_mlx(entry: &TensorEntry) -> bool {
    entry.name.ends_with(".conv1d.weight") && matches!(entry.shape[..], [_, width, 1] if width > 1)
}

/// One stored tensor in GGUF's form.
fn in_form(
    path: &Path,
    keys: Keys<'_>,
    transform: Transform,
    name: String,
    entry: TensorEntry,
) -> Result<TensorEntry, Error> {
    if transform == Transform::Same {
        return Ok(TensorEntry { name, ..entry });
    }
    let form = transform.form(keys, &entry.shape)?;
    let form = form.ok_or_else(|| refuse(path, &entry.name, "its shape does not fit the hyperparameters"))?;
    if let Some(order) = &form.order {
        let n: usize = entry.shape.iter().product();
        if !order.unit.is_multiple_of(entry.format.spec().block_len) {
            let problem = "its rows cannot be put in order, because they are no whole blocks of its type";
            return Err(refuse(path, &entry.name, problem));
        }
        if !order.fits(n) {
            return Err(refuse(path, &entry.name, "its shape does not fit the hyperparameters"));
        }
    }
    let format = if form.map.is_some() { Format::SINGLE } else { entry.format };
    let storage = if form.order.is_none() && form.map.is_none() {
        entry.storage
    } else {
        let (parts, stored) = (vec![entry.storage], entry.format);
        Storage::Derived(Box::new(Derived { parts, stored, order: form.order, map: form.map }))
    };
    Ok(TensorEntry { name, shape: form.shape, format, storage })
}

/// The experts of a layer as one tensor `[experts, rows, columns]`.
fn stacked(
    path: &Path,
    keys: Keys<'_>,
    name: &str,
    mut stack: Vec<(usize, TensorEntry)>,
) -> Result<TensorEntry, Error> {
    stack.sort_by_key(|it| it.0);
    let n = keys.size("expert_count")?;
    if stack.len() != n || stack.iter().enumerate().any(|(i, it)| it.0 != i) {
        return Err(refuse(
            path,
            name,
            "it needs one tensor for each expert, and some are missing or too many",
        ));
    }
    let Some((_, first)) = stack.first() else { return Err(refuse(path, name, "it has no experts")) };
    let (shape, format) = (first.shape.clone(), first.format);
    if let Some((_, other)) = stack.iter().find(|it| it.1.shape != shape || it.1.format != format) {
        return Err(refuse(path, &other.name, "its shape or type is not that of the first expert"));
    }
    let parts = stack.into_iter().map(|it| it.1.storage).collect();
    let storage = Storage::Derived(Box::new(Derived { parts, stored: format, order: None, map: None }));
    Ok(TensorEntry { name: name.to_owned(), shape: [vec![n], shape].concat(), format, storage })
}
