//! The biases that config.json announces, compared with those that are stored.

use std::path::Path;

use serde_json::Value as Json;

use crate::{
    Error,
    convention::{self, Family},
    entry::TensorEntry,
};

/// Fails if config.json announces biases of Q, K and V that are not stored, or denies stored ones.
///
/// # Errors
/// [`Error::Contradiction`].
pub(super) fn check(
    path: &Path,
    config: &Json,
    family: &Family,
    entries: &[TensorEntry],
) -> Result<(), Error> {
    let Some((key, said)) = ["attention_bias", "qkv_bias"]
        .iter()
        .find_map(|key| Some((key, convention::lookup(config, key).and_then(convention::flag)?)))
    else {
        return Ok(());
    };
    let stored = entries.iter().find(|it| it.name.ends_with("attn_q.bias"));
    let problem = match stored {
        // The family decides, and transformers ignores the key.
        _ if !family.optional_bias => return Ok(()),
        None if said => format!("`{key}` is true, but the tensor is missing"),
        Some(_) if !said => format!("`{key}` is false, but the tensor is there"),
        _ => return Ok(()),
    };
    let tensor = stored.map_or("blk.0.attn_q.bias", |it| &it.name).to_owned();
    Err(Error::Contradiction { path: path.to_owned(), tensor, problem })
}
