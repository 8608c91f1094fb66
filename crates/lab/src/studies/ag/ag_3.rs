//! AG-3: one quantization with two sets of weights. Kernels and bytes are the same, so that it is also an A/A control.

use super::sweep::{SweepRow, find, rows};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_experiment::verdict::{Comparison, Outcome};

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-3",
    title: "One quantization, two sets of weights",
    question: "Do the weights change the speed of a quantization, or only its quality?",
    about: "The study attributes a smoother throughput to training with quantization. Kernels do not depend on the values of \
            weights; its rows differ in framework, family and size (X-AG-9).",
    values: &["same_kernels_rate_ratio"],
    conclude,
};

/// Largest relative difference at which two rates count as equal.
const EQUAL: f64 = 0.05;

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    for (model, rows) in rows(data)? {
        for other in rows.iter().filter(|it| it.is_requantized()) {
            let (_, last) = other.quality.point.format.rsplit_once('>').unwrap_or_default();
            if let Some(own) = find(&rows, last) {
                compare(&mut chapter, &model, other, own);
            }
        }
    }
    Ok(chapter)
}

fn compare(chapter: &mut Chapter, model: &str, other: &SweepRow<'_>, own: &SweepRow<'_>) {
    // Less time is more rate.
    let Some(rate) = own.generate.time_over(&other.generate) else { return };
    let found = match Comparison::within("rate", rate, 1.0 - EQUAL, 1.0 + EQUAL).outcome() {
        Outcome::Holds => "the rates are equal within 5 %, as expected of the same kernels",
        Outcome::DoesNotHold => "the rates differ by more than 5 %, which the same kernels do not explain",
        Outcome::Undecided | Outcome::CannotBeTested => {
            "the interval is too wide to decide whether the rates are equal within 5 %"
        }
    };
    let [changed, plain] = [other, own].map(SweepRow::ppl_change);
    chapter.text(format!(
        "{model}: {} has requantized weights, {} the model's own; kernels and bytes are the same. The rate of the first over \
         the second is {:.3} [{:.3}, {:.3}]: {found}. Perplexity changes from half precision by {:+.2} % [{:+.2}, {:+.2}] and \
         {:+.2} % [{:+.2}, {:+.2}].",
        other.label(),
        own.label(),
        rate.value,
        rate.lo,
        rate.hi,
        changed.value,
        changed.lo,
        changed.hi,
        plain.value,
        plain.lo,
        plain.hi,
    ));
    let evidence = own.generate.evidence().and(&other.generate.evidence());
    chapter.value("same_kernels_rate_ratio", model, Some(rate), &evidence);
}
