//! The list of experiments. Each is one file here that exports `Study`, and one word.

use crate::runner::Catalogue;
use ridgeline_measure::models::{Loaded, STORED};
use ridgeline_measure::{Error, MeasureContext};
use ridgeline_quant::Format;
use std::rc::Rc;

ridgeline_experiment::experiments! { MeasureContext: ceilings, kernels, bench, batch, speculation, quantization }

pub(crate) use kernels::table as launch_table;

/// What the `bench` command prints its rows with.
pub(crate) use bench::{Row as Measured, described};

/// A model in the number format or the mix that a cell wants its matrices in.
fn load(cx: &mut MeasureContext, model: &str, format: &str) -> Result<Rc<Loaded>, Error> {
    match format.parse::<Format>() {
        _ if format == STORED => cx.load(model, None),
        Ok(uniform) => cx.load(model, Some(uniform)),
        Err(_) => cx.load(&format!("{model}:{format}"), None),
    }
}

/// What a cell's model is called in tables and figures: as the matrix has it, so that two files are two.
fn title(model: &str, format: &str) -> String {
    if format == STORED { model.to_owned() } else { format!("{model} {format}") }
}

/// What `bench-all` and `report` work with.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue { studies: experiments(), ceilings: ceilings::machine }
}
