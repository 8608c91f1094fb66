//! AG-8: a coarser copy of the target as its draft.

use crate::measures::speculation;
use crate::studies::speculated::{gain, setting, speedup, times};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::study::{Chapter, Study};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-8",
    title: "Self-speculation with a coarser copy",
    question: "Does a target lose about a quarter of its speed when a coarser copy of it drafts?",
    about: "The study's baseline of 54.0 tokens/s has a standard deviation of 19.5, and failed verifications void its runs \
            (X-AG-1, X-AG-5). Here the text equals plain greedy decoding, token for token.",
    values: &["self_speculation_speedup"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<speculation::Kind>()?.wanted_by(STUDY.id);
    let columns: Vec<_> = setting().into_iter().chain(gain()).chain(times()).collect();
    chapter.table(rows.table("The target drafted by coarser copies of itself.", &columns));
    for run in &rows {
        let what = format!("{} drafted by {}", run.point.target, run.point.draft);
        chapter.value("self_speculation_speedup", what, speedup(run), &run.evidence());
    }
    Ok(chapter)
}
