//! INV-7: prompts of real text against random tokens of equal lengths.

use crate::measures::captions::{Kind, Point, Row};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::report::number;
use ridgeline_experiment::rows::Col;
use ridgeline_experiment::stats;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// A cell of the measure `captions`.
type Captions<'a> = Entry<'a, Point, Row>;
type Column<'c> = Col<'c, Point, Row>;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-7",
    title: "Captions against random tokens",
    question: "Does the time of a prompt depend on its tokens?",
    about: "The study calls captions of images visual content, but no image enters its models (X-INV-13). Here a hundred captions \
            written for this project go through the trained pair, each beside as many random tokens. Images come with a vision \
            model.",
    values: &["time_ratio_text_over_random", "text_over_random"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<Kind>()?.wanted_by(STUDY.id).sorted(|e| e.row.params);
    let time =
        |e: &Captions<'_>, of: fn(&Row) -> Option<f64>| Some(number::si(e.over_visits(of)?.value, "s"));
    let columns = [
        Column::text("model", name),
        Column::number("prompts", |e| Some(e.row.text_ns.len().to_string())),
        Column::number("tokens each", |e| {
            Some(number::digits(e.row.tokens as f64 / e.row.text_ns.len() as f64, 3))
        }),
        Column::number("time of a caption", |e| time(e, text)),
        Column::number("of random tokens", |e| time(e, random)),
        Column::number("captions over random", |e| Some(format!("{:.4}", ratio(e)?.value))),
        Column::number("95 % interval", |e| ratio(e).map(|r| format!("{:.4} – {:.4}", r.lo, r.hi))),
    ];
    let caption = "Prompts of text and as many random tokens, interleaved. Medians and intervals are over prompts. The study prints a slowdown of 21.4 ± 6.8 % for \
                   captions and of 22.4 % for synthetic text.";
    chapter.table(rows.table(caption, &columns));
    for entry in &rows {
        chapter.value("text_over_random", name(entry), ratio(entry), &entry.evidence());
    }
    for (format, group) in rows.group(|p| p.format.clone()) {
        if let [small, .., large] = group[..] {
            // The time ratio of the models for captions, over that for random tokens: each model's own ratio is enough.
            let own = by_prompt(small).into_iter().zip(by_prompt(large));
            let over = stats::median_interval(&own.map(|(small, large)| small / large).collect::<Vec<_>>());
            let what = format!("{} and {}, {format}", small.point.model, large.point.model);
            let evidence = small.evidence().and(&large.evidence());
            chapter.value("time_ratio_text_over_random", what, over, &evidence);
        }
    }
    Ok(chapter)
}

fn name(entry: &Captions<'_>) -> String {
    title(&entry.point.model, &entry.point.format)
}

/// Seconds of the median caption.
fn text(row: &Row) -> Option<f64> {
    stats::median(&stats::seconds(&row.text_ns))
}

/// Seconds of the median sequence of random tokens.
fn random(row: &Row) -> Option<f64> {
    stats::median(&stats::seconds(&row.random_ns))
}

/// Captions over random tokens by prompt: geometric means over visits.
fn by_prompt(entry: &Captions<'_>) -> Vec<f64> {
    let log = |row: &Row, i: usize| Some((*row.text_ns.get(i)? as f64 / *row.random_ns.get(i)? as f64).ln());
    let logs = |i: usize| entry.rows.iter().filter_map(|row| log(row, i)).collect::<Vec<_>>();
    (0..entry.row.text_ns.len()).filter_map(|i| stats::mean(&logs(i))).map(f64::exp).collect()
}

/// The median over prompts. They are the sample here: a prompt and its random tokens meet the same pace of the machine.
fn ratio(entry: &Captions<'_>) -> Option<Measured> {
    stats::median_interval(&by_prompt(entry))
}
