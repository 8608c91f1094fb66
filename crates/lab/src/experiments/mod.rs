//! The list of experiments. Each is one file here that exports `Study`, and one word.

use crate::Lab;
use crate::runner::Catalogue;

ridgeline_experiment::experiments! { Lab: ceilings, kernels, bench, batch, speculation, ladder }

/// What the `bench` command prints its rows with.
pub(crate) use bench::{Row as Measured, described};

/// What `bench-all` and `report` work with.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue { studies: experiments(), ceilings: ceilings::machine }
}
