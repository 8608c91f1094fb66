//! RB-7: what a coarser quantization gains in each scenario.

use super::scenario;
use crate::measures::pass::{self, Column, Pass};
use crate::measures::title;
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::number;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "RB-7",
    title: "Quantization by scenario",
    question: "Does quantization gain most where the output is long, and least where the input is long?",
    about: "The study compares rates of prompts and of generations from an empty cache, which are equal in pairs of scenarios by \
            construction (X-RB-7). Here a run is a prompt and the generation after it, at a thirty-second of the study's \
            lengths.",
    values: &["silo_gain_over_liso_gain", "siso_gain_over_silo_gain", "liso_gain"],
    conclude,
};

/// The format that others are compared with.
const BASE: &str = "f16";

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let rows = data.rows::<pass::Kind>()?.wanted_by(STUDY.id);
    let Some(short) = scenario::short(rows.iter().map(|e| e.point.work)) else { return Ok(chapter) };
    let name = |e: &Pass<'_>| scenario::name(e.point.work, short);
    let gain = |e: &Pass<'_>| {
        let base = rows.find(|p| p.model == e.point.model && p.work == e.point.work && p.format == BASE)?;
        base.time_over(e)
    };
    let rate = |e: &Pass<'_>| Some(e.seconds()?.map(|s| e.point.work.tokens() as f64 / s));
    let columns = [
        Column::text("model", |e| title(&e.point.model, &e.point.format)),
        Column::text("scenario", |e| name(e).unwrap_or("–").to_owned()),
        Column::text("work", |e| e.point.work.into()),
        Column::number("tokens/s", |e| Some(number::digits(rate(e)?.value, 3))),
        Column::number("gain over F16", |e| Some(number::digits(gain(e)?.value, 3))),
        Column::number("95 % interval", |e| {
            gain(e).map(|it| format!("{} – {}", number::digits(it.lo, 3), number::digits(it.hi, 3)))
        }),
    ];
    chapter.table(rows.table("Whole runs: the prompt and the generation after it.", &columns));
    let quantized = rows.group(|p| (p.model.clone(), p.format.clone()));
    for ((model, format), entries) in quantized.iter().filter(|it| it.0.1 != BASE) {
        let of = |wanted| -> Option<(&Pass<'_>, Measured)> {
            let entry = entries.iter().find(|e| name(e) == Some(wanted))?;
            Some((entry, gain(entry)?))
        };
        let what = title(model, format);
        if let Some((entry, gain)) = of("LISO") {
            chapter.value("liso_gain", &*what, Some(gain), &entry.evidence());
        }
        for (value, above, below) in
            [("silo_gain_over_liso_gain", "SILO", "LISO"), ("siso_gain_over_silo_gain", "SISO", "SILO")]
        {
            let Some((above, below)) = of(above).zip(of(below)) else { continue };
            let evidence = above.0.evidence().and(&below.0.evidence());
            chapter.value(value, &*what, Some(above.1.over(below.1)), &evidence);
        }
    }
    Ok(chapter)
}
