//! The first section of the report of `bench-all`: the diagnosis of one model.

use super::{Subject, diagnose, sections};
use crate::measures::{pass, speculation};
use ridgeline_experiment::Error;
use ridgeline_experiment::audit::Audit;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::Section;

/// The first section; `None` where no decode step was measured with its kernels.
///
/// # Errors
/// Where a record does not deserialize to its measure's types.
pub(crate) fn answer(data: &Data<'_>, audit: &Audit) -> Result<Option<Section>, Error> {
    let passes = data.rows::<pass::Kind>()?;
    // Of models with fewer layers than published, the speed is that of no model.
    let is = |p: &pass::Point| {
        p.kernels && p.is_default() && p.work.generated().is_some() && !p.model.contains('@')
    };
    let steps = passes.filter(is).sorted(|e| e.point.depth);
    let Some(first) = steps.iter().next() else { return Ok(None) };
    let mut subject = Subject::whole(&first.point.model, &first.point.format, first.point.depth);
    subject.tuned = first.record().build.is_tuned();
    let speculated = data.rows::<speculation::Kind>()?;
    subject.draft =
        speculated.find(|p| p.target == subject.model && p.draft != p.target).map(|e| e.point.draft.clone());
    let Some(mut diagnosis) = diagnose(data, &subject)? else { return Ok(None) };
    diagnosis.caveats.extend(match audit.faults.len() {
        0 => None,
        1 => Some("The next section has a warning about numbers of this run.".to_owned()),
        n => Some(format!("The next section has {n} warnings about numbers of this run.")),
    });
    Ok(Some(sections::section(&diagnosis)))
}
