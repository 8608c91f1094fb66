//! INV-6: speculation with a draft, and with the target as its own draft.

use crate::measures::speculation;
use crate::studies::speculated::{Column, Run, draft_over_target, gain, setting, speedup, times};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-6",
    title: "Strategies of speculation",
    question: "Does a draft that is slower than its target speed it up, and does a target that drafts for itself break even?",
    about: "The study divides the time of five target tokens by that of drafting and verification. It leaves acceptance out, and \
            its verification of 0.45 ms reads 4.4 GB (X-INV-3, X-INV-6). Its form is computed here, too. Drafts in parallel are \
            not built.",
    values: &["sequential_speedup", "draft_over_target", "same_model_speedup", "speedup_without_acceptance"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<speculation::Kind>()?.wanted_by(STUDY.id);
    let mut columns = setting();
    columns.extend(gain());
    columns.extend(times());
    columns.push(Column::number("speedup by the study's form", |e| {
        Some(format!("{:.2}×", without_acceptance(e)?.value))
    }));
    chapter.table(rows.table("Speculation at temperature 0, over all prompts.", &columns));
    for run in &rows {
        let (what, evidence) =
            (format!("{} drafted by {}", run.point.target, run.point.draft), run.evidence());
        chapter.value("speedup_without_acceptance", &*what, without_acceptance(run), &evidence);
        if run.point.draft == run.point.target {
            chapter.value("same_model_speedup", &*what, speedup(run), &evidence);
        } else {
            chapter.value("sequential_speedup", &*what, speedup(run), &evidence);
            chapter.value("draft_over_target", &*what, draft_over_target(run), &evidence);
        }
    }
    Ok(chapter)
}

/// The study's form: the time of as many target tokens as are drafted over that of drafting and verifying them.
fn without_acceptance(run: &Run<'_>) -> Option<Measured> {
    let drafted = run.row.stats.drafted as f64 / run.row.stats.rounds.max(1) as f64;
    let round = |row: &speculation::Row| {
        let stats = &row.stats;
        let spent = (stats.draft_ns + stats.verify_ns) as f64 / stats.rounds.max(1) as f64;
        Some(drafted * row.token_ns()? / spent)
    };
    run.interleaved(round)
}
