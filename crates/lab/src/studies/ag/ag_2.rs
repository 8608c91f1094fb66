//! AG-2: perplexity of one model in several quantizations, and its paired change from half precision.

use super::standings;
use super::sweep::{SweepRow, find, rows};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::quality::Estimate;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-2",
    title: "Quantization sweep: quality",
    question: "How much quality does each quantization cost?",
    about: "The study compares perplexities whose errors of 0.6 exceed their differences of 0.02 to 0.45 (X-AG-8). Only the \
            change on the same tokens distinguishes two rows.",
    values: &[
        "ppl_change_q8_0",
        "ppl_change_q4_k_m",
        "ppl_change_q3_k_m",
        "ppl_change_q2_k",
        "nll_q5_k_m_minus_q6_k",
    ],
    conclude,
};

/// The claimed changes: name, and mix.
const CHANGES: [(&str, &str); 4] = [
    ("ppl_change_q8_0", "q8_0"),
    ("ppl_change_q4_k_m", "q4_k_m"),
    ("ppl_change_q3_k_m", "q3_k_m"),
    ("ppl_change_q2_k", "q2_k"),
];

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    for (model, rows) in rows(data)? {
        chapter.table(table(&model, &rows, data));
        for (name, format) in CHANGES {
            if let Some(row) = find(&rows, format) {
                chapter.counted(name, &model, Some(row.ppl_change()), &row.quality.evidence());
            }
        }
        if let (Some(q6), Some(q5)) = (find(&rows, "q6_k"), find(&rows, "q5_k_m")) {
            // The standard error assumes independent changes. Both are on the same tokens, so that the true one is smaller.
            let (a, b) = (q5.quality.row.vs_reference.delta_nll, q6.quality.row.vs_reference.delta_nll);
            let worse = Estimate { value: a.value - b.value, se: a.se.hypot(b.se) }.interval();
            let evidence = q5.quality.evidence().and(&q6.quality.evidence());
            chapter.counted("nll_q5_k_m_minus_q6_k", &model, Some(worse), &evidence);
        }
    }
    Ok(chapter)
}

/// Every row, the largest first.
fn table(model: &str, rows: &[SweepRow<'_>], data: &Data<'_>) -> Table {
    let numbers = [
        "bits/weight",
        "PPL ± SE",
        "Δ NLL ± SE",
        "Δ PPL, %",
        "mean KL, nats",
        "KL p99, nats",
        "top-1 agreement, %",
        "decode t/s",
        "% BW",
        "prefill t/s",
        "Pareto, size",
        "Pareto, speed",
    ];
    let columns = [("quantization", Align::Left), ("weights", Align::Right)];
    let columns = columns.into_iter().chain(numbers.map(|title| (title, Align::Right)));
    let caption = format!(
        "{model}: every row compared with half precision on the same tokens. NLL is the negative log-likelihood per token, \
         SE a standard error. ● is on the Pareto front of KL divergence and size, or KL divergence and speed; ○ is tied within \
         intervals."
    );
    let mut table = Table::new(caption, columns);
    let mut sorted: Vec<&SweepRow<'_>> = rows.iter().collect();
    sorted.sort_by_key(|it| std::cmp::Reverse(it.quality.row.weight_bytes));
    let by_size = standings(&sorted.iter().map(|it| it.by_size()).collect::<Vec<_>>());
    let by_speed = standings(&sorted.iter().map(|it| it.by_speed()).collect::<Vec<_>>());
    for (row, (size, speed)) in sorted.into_iter().zip(by_size.into_iter().zip(by_speed)) {
        let (quality, pass) = (&row.quality.row, &row.generate.row.pass);
        let vs = &quality.vs_reference;
        let step = row.generate.seconds().map_or(f64::NAN, |s| s.value);
        let fraction = data.machine().map(|it| pass.prediction(it).mbu(step));
        let rate = |it: Option<ridgeline_roofline::Measured>| {
            it.map_or("–".to_owned(), |r| number::digits(r.value, 4))
        };
        table.push([
            row.label(),
            number::bytes(quality.weight_bytes),
            format!("{:.2}", 8.0 * quality.weight_bytes as f64 / quality.params as f64),
            format!("{:.3} ± {:.2}", quality.ppl.value, quality.ppl.se),
            format!("{:+.5} ± {:.5}", vs.delta_nll.value, vs.delta_nll.se),
            format!("{:+.2}", 100.0 * (vs.ppl_ratio.value - 1.0)),
            number::digits(vs.kl.value, 3),
            number::digits(vs.kl_p99, 3),
            format!("{:.1}", 100.0 * vs.top1_agreement.value),
            rate(row.rate()),
            fraction.map_or_else(|| "–".to_owned(), number::percent),
            rate(row.prompt_rate()),
            size.mark().to_owned(),
            speed.mark().to_owned(),
        ]);
    }
    table
}
