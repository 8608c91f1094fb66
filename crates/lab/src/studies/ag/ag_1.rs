//! AG-1: speed of one model in several quantizations, its Pareto fronts, and the step time over weight bytes.

use super::pareto::figures;
use super::step_time::line;
use super::sweep::{SweepRow, find, rows};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::study::{Chapter, Study};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-1",
    title: "Quantization sweep: speed",
    question: "Which quantization gives the most speed for its size and quality?",
    about: "Five of the study's seven rows have a standard deviation of 19 to 36 % of their mean, so that its order of \
            formats is not established (X-AG-5).",
    values: &[
        "rate_q6_k_over_q5_k_m",
        "prefill_f16_over_q2_k",
        "prefill_q2_k_over_q3_k_m",
        "prefill_q3_k_m_over_q4_k_m",
        "prefill_q3_k_m_over_q5_k_m",
        "prefill_q3_k_m_over_q6_k",
    ],
    conclude,
};

/// The pairs of prompt rates that the study orders: name, and the two mixes.
const PREFILL: [(&str, &str, &str); 5] = [
    ("prefill_f16_over_q2_k", "f16", "q2_k"),
    ("prefill_q2_k_over_q3_k_m", "q2_k", "q3_k_m"),
    ("prefill_q3_k_m_over_q4_k_m", "q3_k_m", "q4_k_m"),
    ("prefill_q3_k_m_over_q5_k_m", "q3_k_m", "q5_k_m"),
    ("prefill_q3_k_m_over_q6_k", "q3_k_m", "q6_k"),
];

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    for (model, rows) in rows(data)? {
        let plain: Vec<&SweepRow<'_>> = rows.iter().filter(|it| !it.is_requantized()).collect();
        for lines in figures(&plain) {
            chapter.lines(lines);
        }
        if let Some((text, lines)) = line(&plain) {
            chapter.text(text);
            lines.into_iter().for_each(|lines| chapter.lines(lines));
        }
        // Less time is more rate: the rate of A over B is the time of B over A.
        if let (Some(q6), Some(q5)) = (find(&rows, "q6_k"), find(&rows, "q5_k_m")) {
            let evidence = q6.generate.evidence().and(&q5.generate.evidence());
            chapter.value("rate_q6_k_over_q5_k_m", &model, q5.generate.time_over(&q6.generate), &evidence);
        }
        for (name, a, b) in PREFILL {
            let (Some(a), Some(b)) = (find(&rows, a), find(&rows, b)) else { continue };
            let evidence = a.prompt.evidence().and(&b.prompt.evidence());
            chapter.value(name, &model, b.prompt.time_over(&a.prompt), &evidence);
        }
    }
    Ok(chapter)
}
