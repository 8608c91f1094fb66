//! Rows of speculative decoding, as several studies show them.

use crate::measures::speculation::{Point, Row};
use ridgeline_experiment::data::Entry;
use ridgeline_experiment::report::number;
use ridgeline_experiment::rows::Col;
use ridgeline_roofline::Measured;

/// One setting.
pub(super) type Run<'a> = Entry<'a, Point, Row>;
/// A column of a table of settings.
pub(super) type Column<'c> = Col<'c, Point, Row>;

/// Seconds per token without speculation over those with it; both are interleaved in every visit.
pub(super) fn speedup(entry: &Run<'_>) -> Option<Measured> {
    entry.interleaved(Row::speedup)
}

/// Time of a drafted token over that of a token without speculation.
pub(super) fn draft_over_target(entry: &Run<'_>) -> Option<Measured> {
    entry.interleaved(|row| Some(row.stats.draft_ns_per_token()? / row.token_ns()?))
}

/// Time of a verification over that of a token without speculation: `v` in speedup formulas.
pub(super) fn verification_over_token(entry: &Run<'_>) -> Option<Measured> {
    entry.interleaved(|row| Some(row.stats.verify_ns_per_round()? / row.token_ns()?))
}

/// The columns that name a setting.
pub(super) fn setting<'c>() -> Vec<Column<'c>> {
    vec![
        Column::text("target", |e| e.point.target.clone()),
        Column::text("draft", |e| e.point.draft.clone()),
        Column::number("draft length", |e| Some(e.point.draft_max.to_string())),
    ]
}

/// The columns of acceptance and speedup.
pub(super) fn gain<'c>() -> Vec<Column<'c>> {
    vec![
        Column::number("acceptance rate", |e| e.row.stats.acceptance_rate().map(number::percent)),
        Column::number("τ, tokens/round", |e| e.row.stats.tau().map(|tau| format!("{tau:.2}"))),
        Column::number("speedup", |e| speedup(e).map(|s| format!("{:.2}×", s.value))),
        Column::number("95 % interval", |e| speedup(e).map(|s| format!("{:.2} – {:.2}", s.lo, s.hi))),
    ]
}

/// The columns of times over that of a token without speculation.
pub(super) fn times<'c>() -> Vec<Column<'c>> {
    let ratio = |it: Option<Measured>| it.map(|it| format!("{:.2}×", it.value));
    vec![
        Column::number("drafted token / token", move |e| ratio(draft_over_target(e))),
        Column::number("verification / token", move |e| ratio(verification_over_token(e))),
    ]
}

#[cfg(test)]
mod tests;
