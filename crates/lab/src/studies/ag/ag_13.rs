//! AG-13: whether devices choose equal tokens at temperature 0.

use crate::measures::title;
use crate::measures::tokens::{self, Continuations};
use ridgeline_experiment::Error;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::report::{Align, Table, number};
use ridgeline_experiment::study::{Chapter, Study};
use ridgeline_roofline::Measured;

/// The study.
pub(crate) const STUDY: Study = Study {
    id: "AG-13",
    title: "Greedy tokens on two devices",
    question: "Do two devices choose equal tokens at temperature 0?",
    about: "The study sees equal counts of accepted tokens on M1 Max and M2 Pro, and its own logs have others on M2 Ultra \
            (X-AG-12). Here token ids are compared. After a first difference, texts have nothing in common.",
    values: &["equal_tokens"],
    conclude,
};

fn conclude(data: &Data<'_>) -> Result<Chapter, Error> {
    let mut chapter = Chapter::default();
    let columns = [
        ("model", Align::Left),
        ("other device", Align::Left),
        ("tokens", Align::Right),
        ("equal until the first difference", Align::Right),
    ];
    let mut table = Table::new("Greedy continuations, token by token.", columns);
    for other in data.devices().skip(1) {
        let name = other.machine().map_or("another device", |it| it.name.as_str());
        for (entry, twin) in data.shared::<tokens::Kind>(other, STUDY.id)? {
            let (equal, all) = equal_tokens(&entry, &twin);
            let model = title(&entry.point.model, &entry.point.format);
            let share = equal as f64 / all.max(1) as f64;
            table.push([model.clone(), name.to_owned(), all.to_string(), number::percent(share)]);
            let (what, evidence) = (format!("{model}, with {name}"), entry.evidence());
            chapter.counted("equal_tokens", what, Some(Measured::exact(share)), &evidence);
        }
    }
    chapter.table(table);
    Ok(chapter)
}

/// Tokens of all continuations that are equal up to the first difference of each, and all tokens.
fn equal_tokens(a: &Continuations<'_>, b: &Continuations<'_>) -> (usize, usize) {
    let pairs = || a.row.ids.iter().zip(&b.row.ids);
    let equal = pairs().map(|(a, b)| a.iter().zip(b).take_while(|(a, b)| a == b).count()).sum();
    (equal, pairs().map(|(a, b)| a.len().max(b.len())).sum())
}
