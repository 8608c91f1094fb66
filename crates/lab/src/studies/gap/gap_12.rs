//! GAP-12: a generation loop written by hand against the library's streaming interface.

use crate::measures::generate::{self, Point, Row, Times};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::{Data, Entry};
use ridgeline_experiment::report::number;
use ridgeline_experiment::rows::Col;
use ridgeline_experiment::stats;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

type Text<'a> = Entry<'a, Point, Row>;
type Column<'c> = Col<'c, Point, Row>;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "GAP-12",
    title: "A loop by hand against the streaming interface",
    question: "Does a hand-written loop measure the same speed as the library's own generation?",
    about: "The study finds 1 to 6 % in decoding and 54 to 80 % in the time to first token, which it does not explain.",
    values: &[
        "manual_over_builtin_decode",
        "manual_over_builtin_ttft",
        "ttft_deviation_minus_decode_deviation",
    ],
    conclude,
};

/// One of the two loops.
type Loop = fn(&Row) -> &[Times];

/// One of the two times of a text.
type Time = fn(&Times) -> u64;
const FIRST: Time = |times| times.first_ns;
const DECODE: Time = |times| times.decode_ns;

/// Median seconds of one visit.
fn seconds(times: &[Times], time: Time) -> Option<f64> {
    stats::median(&stats::seconds(&times.iter().map(time).collect::<Vec<_>>()))
}

/// Time by hand over time of the streaming interface; both are interleaved within a repetition.
fn ratio(entry: &Text<'_>, time: Time) -> Option<Measured> {
    entry.interleaved(|row| Some(seconds(&row.by_hand, time)? / seconds(&row.streaming, time)?))
}

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<generate::Kind>()?;
    let milliseconds = |times: Loop, time: Time| {
        move |e: &Text<'_>| {
            Some(number::digits(1e3 * e.over_visits(|row| seconds(times(row), time))?.value, 4))
        }
    };
    let [hand, stream]: [Loop; 2] = [|row| &row.by_hand, |row| &row.streaming];
    let shown = |r: Measured| format!("{:.3} [{:.3}, {:.3}]", r.value, r.lo, r.hi);
    let columns = [
        Column::text("model", |e| title(&e.point.model, &e.point.format)),
        Column::number("prompt + generated", |e| Some(format!("{} + {}", e.point.prompt, e.point.tokens))),
        Column::number("first token by hand, ms", milliseconds(hand, FIRST)),
        Column::number("first token streamed, ms", milliseconds(stream, FIRST)),
        Column::number("ratio", |e| ratio(e, FIRST).map(shown)),
        Column::number("decoding by hand, ms", milliseconds(hand, DECODE)),
        Column::number("decoding streamed, ms", milliseconds(stream, DECODE)),
        Column::number("ratio", |e| ratio(e, DECODE).map(shown)),
    ];
    let caption = "Time to the first token, and of the tokens after it. A ratio above 1 means that the loop by hand is slower.";
    chapter.table(rows.table(caption, &columns));
    for entry in &rows {
        let (name, evidence) = (title(&entry.point.model, &entry.point.format), entry.evidence());
        let (first, decode) = (ratio(entry, FIRST), ratio(entry, DECODE));
        chapter.value("manual_over_builtin_decode", &*name, decode, &evidence);
        chapter.value("manual_over_builtin_ttft", &*name, first, &evidence);
        let more = first.zip(decode).map(|(first, decode)| deviation(first).minus(deviation(decode)));
        let per_time = first.zip(decode).map_or(0.0, |(first, decode)| first.value + decode.value);
        chapter.add("ttft_deviation_minus_decode_deviation", name, (more, per_time), &evidence);
    }
    Ok(chapter)
}

/// How far a ratio is from 1, in either direction.
pub(super) fn deviation(ratio: Measured) -> Measured {
    let far = |x: f64| (x - 1.0).abs();
    let (a, b) = (far(ratio.lo), far(ratio.hi));
    let spans = ratio.lo <= 1.0 && 1.0 <= ratio.hi;
    Measured { value: far(ratio.value), lo: if spans { 0.0 } else { a.min(b) }, hi: a.max(b) }
}
