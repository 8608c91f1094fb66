//! The list of studies. Each is a file that exports `STUDY`, and one word in the list of its folder.

mod ag;
#[cfg(test)]
mod device_tests;
mod gap;
mod inv;
mod rb;
mod speculated;
#[cfg(test)]
mod tests;

pub(crate) use ag::controls;

use crate::measures::{ceilings, measures, pass};
use crate::runner::Catalogue;
use ridgeline_experiment::matrix::{Budget, Cell};
use ridgeline_experiment::measure::Measure;
use ridgeline_experiment::record::ANCHOR;
use ridgeline_experiment::study::Study;

/// Every study, in the order of the report.
#[must_use]
pub fn studies() -> Vec<&'static Study> {
    [gap::STUDIES, inv::STUDIES, ag::STUDIES, rb::STUDIES].concat()
}

/// The measures and studies for `bench-all` and `report`.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue {
        measures: measures(),
        studies: studies(),
        ceilings: ceilings::machine,
        audit: crate::audit::audit,
        answer: crate::diagnosis::report::answer,
        anchor: Some(anchor()),
    }
}

/// The anchor: 16 tokens of the shipped target, the same work in every run.
fn anchor() -> Cell {
    let point = serde_json::json!({ "model": "tiny-target", "format": "stored", "work": "tg16", "depth": 0 });
    let budget = Budget { warmup: 1, min_reps: 3, max_reps: 8, budget_s: 0.3 };
    let (measure, studies) = (pass::Kind::NAME.to_owned(), vec![ANCHOR.to_owned()]);
    Cell { measure, studies, point, budget, first: budget, check: None, visit: 0, visits: u32::MAX }
}
