//! The list of measures. Each is a module that exports `Kind`, and one word in the list.

use ridgeline_measure::models::{self, Loaded, STORED};
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_quant::Format;
use std::rc::Rc;

ridgeline_experiment::measures! { MeasureContext: ceilings, launch, operation, pass, captions, generate, quality, speculation }

/// Prefix of a format that names quantization mixes. Types and mixes share names, such as `q2_k`.
const MIX: &str = "mix:";

/// Loads a model with its matrices in the quantization that a cell names.
///
/// The format is `stored` for the file's own, a quantization type or a mix. After `mix:` there may be several mixes that the
/// weights pass through one after the other, such as `mix:q2_k>q8_0`.
fn load(cx: &mut MeasureContext, model: &str, format: &str) -> Result<Rc<Loaded>, Error> {
    if let Some(mixes) = format.strip_prefix(MIX) {
        let mut file = model.to_owned();
        for mix in mixes.split('>') {
            file =
                models::quantized(&file, mix.parse().map_err(Error::from)?)?.to_string_lossy().into_owned();
        }
        return cx.load(&file, None);
    }
    match format.parse::<Format>() {
        _ if format == STORED => cx.load(model, None),
        Ok(uniform) => cx.load(model, Some(uniform)),
        Err(_) => cx.load(&format!("{model}:{format}"), None),
    }
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
