//! AG-6: speculative decoding with a draft model: acceptance rate, share of drafting and verification, and speedup.

use crate::measures::speculation::{self, Point, Row};
use crate::studies::speculated::{Column, Run, gain, setting, speedup};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Axis, Line, Lines, number};
use ridgeline_experiment::rows::Rows;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-6",
    title: "Speculative decoding",
    question: "Does a draft model make generation faster, and at which draft length?",
    about: "The study's engine could not roll back the recurrent state of its models: most verification passes failed, and \
            the reported gain is the time of passes that were never computed (X-AG-1).",
    values: &["speculation_speedup"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<speculation::Kind>()?.wanted_by(STUDY.id);
    let share = |e: &Run<'_>, ns: u64| number::percent(ns as f64 / e.row.stats.decode_ns().max(1) as f64);
    let mut columns = setting();
    columns.push(Column::number("temperature", |e| Some(format!("{:.1}", e.point.temperature))));
    columns.extend(gain());
    columns.extend([
        Column::number("drafting, % of decode", |e| Some(share(e, e.row.stats.draft_ns))),
        Column::number("verification, % of decode", |e| Some(share(e, e.row.stats.verify_ns))),
    ]);
    let caption = "One row per setting, over all prompts. Acceptance rate is accepted over drafted tokens, τ is \
                   1 + accepted / rounds. At temperature 0, the text equals plain greedy decoding token for token.";
    chapter.table(rows.table(caption, &columns));
    chapter.lines(by_position(&rows));
    for entry in &rows {
        let Point { target, draft_max, temperature, .. } = &entry.point;
        let what = format!("{target}, draft length {draft_max}, temperature {temperature:.1}");
        chapter.value("speculation_speedup", what, speedup(entry), &entry.evidence());
    }
    Ok(chapter)
}

fn by_position(rows: &Rows<'_, Point, Row>) -> Lines {
    let line = |entry: &Run<'_>| {
        let stats = &entry.row.stats;
        let rate = |i: usize| stats.rate_at(i).map(|r| ((i + 1) as f64, Measured::exact(r)));
        let label =
            format!("draft length {}, temperature {:.1}", entry.point.draft_max, entry.point.temperature);
        Line { label, points: (0..stats.drafted_at.len()).filter_map(rate).collect(), predicted: false }
    };
    let axis = |title: &str| Axis { title: title.to_owned(), unit: String::new(), log: false };
    Lines {
        caption: "Acceptance rate by position in the draft.".to_owned(),
        x: axis("position in the draft"),
        y: axis("acceptance rate"),
        lines: rows.iter().filter(|e| e.point.draft_max > 1).map(line).collect(),
    }
}
