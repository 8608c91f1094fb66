//! The list of measures. Each is a module that exports `Kind`, and one word in the list.

use crate::cut::Cut;
use ridgeline_measure::models::{self, Loaded, STORED};
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_quant::Format;
use ridgeline_text::Tokenizer;
use std::rc::Rc;

ridgeline_experiment::measures! { MeasureContext: ceilings, launch, operation, pass, count, captions, generate, quality, speculation, tokens }

/// Prefix of a format that names quantization mixes. Types and mixes share names, such as `q2_k`.
const MIX: &str = "mix:";

/// The model of a cell in the quantization that the cell names, as an argument of `-m` and a quantization type.
///
/// The format is `stored` for the file's own, a quantization type or a mix. After `mix:` there may be several mixes that the
/// weights pass through one after the other, such as `mix:q2_k>q8_0`.
fn named(model: &str, format: &str) -> Result<(String, Option<Format>), Error> {
    if let Some(mixes) = format.strip_prefix(MIX) {
        let mut file = model.to_owned();
        for mix in mixes.split('>') {
            file =
                models::quantized(&file, mix.parse().map_err(Error::from)?)?.to_string_lossy().into_owned();
        }
        return Ok((file, None));
    }
    Ok(match format.parse::<Format>() {
        _ if format == STORED => (model.to_owned(), None),
        Ok(uniform) => (model.to_owned(), Some(uniform)),
        Err(_) => (format!("{model}:{format}"), None),
    })
}

/// Loads the model of a cell, as [`named`].
fn load(cx: &mut MeasureContext, model: &str, format: &str) -> Result<Rc<Loaded>, Error> {
    let (name, format) = named(model, format)?;
    cx.load(&name, format)
}

/// The tokenizer of a cell's model.
fn tokenizer(loaded: &Loaded) -> Result<&Tokenizer, Error> {
    loaded.vocabulary.tokenizer()?.ok_or_else(|| Error::NoVocabulary { name: loaded.id.name.clone() })
}

/// Two numbers of layers of a cell's model, the larger about this share of all; `None` where it cannot be cut.
fn cut(model: &str, format: &str, share: f64) -> Result<Option<Cut>, Error> {
    if model.contains('@') {
        return Ok(None);
    }
    let (name, format) = named(model, format)?;
    Ok(crate::cut::cut(&models::checkpoint(&name, format)?, share).map_err(models::Error::from)?)
}

/// Name of a cell's model in tables and figures: unchanged from the matrix, so that two files have two names.
pub(crate) fn title(model: &str, format: &str) -> String {
    if format == STORED { model.to_owned() } else { format!("{model} {}", mix(format)) }
}

/// Name and number of layers of a model that is cut or stretched to it, such as `mistral-7b@2`; `None` for others.
pub(crate) fn layers(model: &str) -> Option<(&str, usize)> {
    let (name, layers) = model.rsplit_once('@')?;
    Some((name, layers.parse().ok()?))
}

/// A format without [`MIX`].
pub(crate) fn mix(format: &str) -> &str {
    format.strip_prefix(MIX).unwrap_or(format)
}
