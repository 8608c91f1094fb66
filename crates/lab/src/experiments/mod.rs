//! The list of experiments. Each is a module that exports `Study`, and one word in the list.

use crate::runner::Catalogue;
use ridgeline_measure::models::{Loaded, STORED};
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_quant::Format;
use std::rc::Rc;

ridgeline_experiment::experiments! { MeasureContext: ceilings, kernels, bench, batch, speculation, quantization }

pub(crate) use kernels::table as launch_table;

/// Used by the `bench` command to print its rows.
pub(crate) use bench::{Row as Measured, described};

/// Loads a model with its matrices in the quantization type or mix that a cell names.
fn load(cx: &mut MeasureContext, model: &str, format: &str) -> Result<Rc<Loaded>, Error> {
    match format.parse::<Format>() {
        _ if format == STORED => cx.load(model, None),
        Ok(uniform) => cx.load(model, Some(uniform)),
        Err(_) => cx.load(&format!("{model}:{format}"), None),
    }
}

/// Name of a cell's model in tables and figures: unchanged from the matrix, so that two files have two names.
fn title(model: &str, format: &str) -> String {
    if format == STORED { model.to_owned() } else { format!("{model} {format}") }
}

/// The experiments for `bench-all` and `report`.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue { studies: experiments(), ceilings: ceilings::machine }
}
