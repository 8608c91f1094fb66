//! The sliding windows that config.json describes: their width, and the layers that have one.

use serde_json::Value as Json;

use super::{Config, Kind, flag, kinds::MAX_LAYERS, lookup};
use crate::{Array, Error, Metadata, Value};

/// The layers of a family that have the sliding window of config.json.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Windows {
    /// All of them.
    All,
    /// If `use_sliding_window` is true, all.
    AllByFlag,
    /// If `use_sliding_window` is true, those that `layer_types` names, or those from `max_window_layers` on.
    LastByFlag,
    /// Those that `layer_types` names, or all but every n-th.
    Alternating,
}

/// The key of the width, in tokens.
pub(super) const WIDTH: &str = "attention.sliding_window";
/// The key of the layers: a period n (all but every n-th layer), or a flag per layer. Without it, all layers.
pub(super) const PATTERN: &str = "attention.sliding_window_pattern";

/// Adds the window's width and the layers that have it, if there are some.
///
/// # Errors
/// [`Error::KeyType`].
pub(super) fn add(config: &Config<'_>, layers: Option<u32>, metadata: &mut Metadata) -> Result<(), Error> {
    let family = config.family;
    let width = match config.json.get("sliding_window") {
        Some(json) => config.read("sliding_window", Kind::U32, json)?,
        None => config.default(WIDTH, Kind::U32),
    };
    let Some(width) = width else { return Ok(()) };
    let used = lookup(config.json, "use_sliding_window").and_then(flag);
    let by_flag = matches!(family.windows, Windows::AllByFlag | Windows::LastByFlag);
    if used == Some(false) || by_flag && used.is_none() {
        return Ok(());
    }
    let named = lookup(config.json, "layer_types").and_then(Json::as_array);
    let named: Option<Vec<bool>> = named.map(|it| it.iter().map(|it| it == "sliding_attention").collect());
    let number = |key: &str| lookup(config.json, key).and_then(Json::as_u64);
    let pattern = match family.windows {
        Windows::All | Windows::AllByFlag => None,
        Windows::LastByFlag => {
            // transformers' default of `max_window_layers`.
            let first = number("max_window_layers").unwrap_or(28);
            named.or_else(|| Some((0..layers?.min(MAX_LAYERS)).map(|i| u64::from(i) >= first).collect()))
        }
        Windows::Alternating => {
            let period = number("sliding_window_pattern").or_else(|| number("_sliding_window_pattern"));
            let period = period.and_then(|it| u32::try_from(it).ok());
            match (named, period) {
                (Some(named), _) => Some(named),
                (None, Some(period)) => {
                    metadata.set(family.key(PATTERN), Value::U32(period));
                    None
                }
                // The family's default.
                (None, None) => None,
            }
        }
    };
    match pattern {
        Some(layers) if !layers.contains(&true) => return Ok(()),
        Some(layers) if layers.contains(&false) => metadata.set(family.key(PATTERN), of_layers(layers)),
        // All layers have it. In an alternating family, the absent key would mean the default.
        Some(layers) if family.windows == Windows::Alternating => {
            metadata.set(family.key(PATTERN), of_layers(layers));
        }
        _ => {}
    }
    metadata.set(family.key(WIDTH), width);
    Ok(())
}

/// A flag per layer, or the period if every n-th layer alone has no window.
fn of_layers(layers: Vec<bool>) -> Value {
    let period = layers.iter().position(|it| !it).map_or(0, |it| it + 1);
    let regular = period > 1 && layers.iter().enumerate().all(|(i, &it)| it == ((i + 1) % period != 0));
    match u32::try_from(period) {
        Ok(period) if regular => Value::U32(period),
        _ => Value::Array(Array::Bool(layers)),
    }
}
