//! INV-5: the slowdown of the small model by the precision of the weights.

use super::pair::{Pair, cells, length, pairs};
use crate::measures::mix;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_measure::pass::Clock;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "INV-5",
    title: "Precision of the weights",
    question: "Does the slowdown of the small model depend on the precision of the weights?",
    about: "The study's large model takes 0.59 ms in float32 and in float16, although float32 has twice the bytes. Bytes were \
            not timed. Its bfloat16 time differs between two tables (X-INV-8). Here 8 and 4 bits are added, and all sums are in \
            float32. Rows of 576 weights are no whole blocks of Q4_K, so most of the small model stays in F16.",
    values: &[
        "slowdown_complete_by_precision",
        "slowdown_encode_by_precision",
        "time_ratio_f16_over_bf16",
        "time_ratio_bf16_over_f32",
    ],
    conclude,
};

/// The precisions of the study: the quantization type here, and the printed name.
const PRINTED: [(&str, &str); 3] = [("f32", "float32"), ("bf16", "bfloat16"), ("f16", "float16")];

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = cells(data, STUDY.id)?;
    let pairs: Vec<Pair<'_, '_>> = pairs(&rows).collect();
    chapter.table(table(&pairs, data));
    // The study times prompts; one token is beside them in the table.
    let prompts: Vec<&Pair<'_, '_>> =
        pairs.iter().filter(|it| it.small.point.work.generated().is_none()).collect();
    for format in ["f32", "f16"] {
        for pair in prompts.iter().filter(|it| is(it, format)) {
            pair.add(&mut chapter, "slowdown_complete_by_precision", Clock::Complete);
            pair.add(&mut chapter, "slowdown_encode_by_precision", Clock::Encode);
        }
    }
    let mut compare = |name: &'static str, above: &str, below: &str| {
        for above in prompts.iter().filter(|it| is(it, above)) {
            let same = |it: &&&Pair<'_, '_>| is(it, below) && it.small.point.work == above.small.point.work;
            let Some(below) = prompts.iter().find(same) else { continue };
            let ratio =
                above.ratio(Clock::Complete).zip(below.ratio(Clock::Complete)).map(|(a, b)| a.over(b));
            let evidence = above.evidence().and(&below.evidence());
            chapter.value(name, length(&above.small.point), ratio, &evidence);
        }
    };
    compare("time_ratio_f16_over_bf16", "f16", "bf16");
    compare("time_ratio_bf16_over_f32", "bf16", "f32");
    Ok(chapter)
}

/// Whether a pair has this quantization type.
fn is(pair: &Pair<'_, '_>, format: &str) -> bool {
    mix(&pair.small.point.format) == format
}

fn table(pairs: &[Pair<'_, '_>], data: &Data<'_>) -> Table {
    let printed = data.published().table("INV-T4").ok();
    let titles = [
        ("forward pass", Align::Left),
        ("weights read, small", Align::Right),
        ("weights read, large", Align::Right),
        ("time, small", Align::Right),
        ("time, large", Align::Right),
        ("published slowdown", Align::Right),
        ("slowdown until completion", Align::Left),
        ("slowdown by encoding alone", Align::Left),
    ];
    let mut table = Table::new("The pair by the precision of its weights, with 95 % intervals.", titles);
    let dash = || "–".to_owned();
    for pair in pairs {
        let name = PRINTED.iter().find(|(format, _)| is(pair, format)).map(|it| it.1);
        let row = name.and_then(|name| printed?.row("precision", name));
        let published = row.and_then(|row| row.number("slowdown_pct"));
        let cells = [pair.small, pair.large];
        let [few, many] = cells.map(|e| number::si(e.row.pass.cost.weights as f64, "B"));
        let [short, long] = cells.map(|e| e.seconds().map_or_else(dash, |s| number::si(s.value, "s")));
        let published = published.map_or_else(dash, |it| format!("{it:.1} %"));
        let [complete, encode] = [Clock::Complete, Clock::Encode].map(|clock| pair.shown(clock));
        table.push([pair.name(), few, many, short, long, published, complete, encode]);
    }
    table
}
