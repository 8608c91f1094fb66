//! The list of experiments. Each is one file here that exports `Study`, and one word.

use crate::Lab;
use crate::runner::Catalogue;

ridgeline_experiment::experiments! { Lab: ceilings, kernels, bench, batch, speculation, ladder }

/// What the `bench` command prints its rows with.
pub(crate) use bench::{Row as Measured, described};

/// What a cell says in place of a number format to measure a file's weights as they are.
const STORED: &str = "stored";

/// What a model is loaded by: its name, and the number format or the mix that a cell wants its matrices in.
fn model_in(model: &str, format: &str) -> String {
    if format == STORED { model.to_owned() } else { format!("{model}:{format}") }
}

/// What a cell's model is called in tables and figures.
fn title(model: &str, format: &str) -> String {
    let name = std::path::Path::new(model).file_name().map_or(model.into(), |it| it.to_string_lossy());
    if format.eq_ignore_ascii_case(STORED) { name.into_owned() } else { format!("{model} {format}") }
}

/// What `bench-all` and `report` work with.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue { studies: experiments(), ceilings: ceilings::machine }
}
