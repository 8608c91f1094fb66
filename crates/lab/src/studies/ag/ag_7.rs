//! AG-7: the acceptance rate of a draft by the kind of prompt.

use crate::measures::speculation;
use crate::studies::speculated::{Run, gain, setting};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::stats;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-7",
    title: "Acceptance by kind of prompt",
    question: "Are drafts of code accepted more often than drafts of maths, and these more often than drafts of prose?",
    about: "The study has one prompt of each kind, and its counts come from failed verifications (X-AG-1). Its runs over a \
            network, which mostly worked, have the reverse order (X-AG-12). Here each kind has several prompts. The interval \
            of a rate is of its prompts; greedy text is the same on every visit.",
    values: &["accept_code_over_maths", "accept_maths_over_prose"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<speculation::Kind>()?.wanted_by(STUDY.id);
    let columns: Vec<_> = setting().into_iter().chain(gain()).collect();
    chapter.table(rows.table("All prompts together.", &columns));
    for run in &rows {
        chapter.table(kinds(run));
        let rate = |kind| rate(run, kind);
        let what = format!("{}, draft length {}", run.point.target, run.point.draft_max);
        for (value, above, below) in
            [("accept_code_over_maths", "code", "maths"), ("accept_maths_over_prose", "maths", "prose")]
        {
            // No quotient says anything where the smaller rate may be zero.
            let ratio = rate(above).zip(rate(below).filter(|it| it.lo > 0.0)).map(|(a, b)| a.over(b));
            chapter.counted(value, &*what, ratio, &run.evidence());
        }
    }
    Ok(chapter)
}

/// Rates of one kind of text, by prompt.
fn rates(run: &Run<'_>, kind: &str) -> Vec<f64> {
    run.row.acceptance_by_prompt.iter().filter(|it| it.0 == kind).filter_map(|it| it.1).collect()
}

/// Mean acceptance rate of a kind, with the interval of its prompts.
fn rate(run: &Run<'_>, kind: &str) -> Option<Measured> {
    stats::mean_interval(&rates(run, kind))
}

/// Table of the kinds of text of a run.
fn kinds(run: &Run<'_>) -> Table {
    use Align::{Left, Right};
    let columns = [("kind", Left), ("prompts", Right), ("acceptance rate", Right), ("95 % interval", Right)];
    let caption = format!("Acceptance of {} by {}.", run.point.draft, run.point.target);
    let mut table = Table::new(caption, columns);
    let mut kinds: Vec<&str> = run.row.acceptance_by_prompt.iter().map(|it| it.0.as_str()).collect();
    kinds.dedup();
    for kind in kinds {
        let Some(rate) = rate(run, kind) else { continue };
        table.push([
            kind.to_owned(),
            rates(run, kind).len().to_string(),
            number::percent(rate.value),
            format!("{} – {}", number::percent(rate.lo.max(0.0)), number::percent(rate.hi.min(1.0))),
        ]);
    }
    table
}
