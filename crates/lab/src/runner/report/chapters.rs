//! The register of claims, and a chapter of each published study with a section of each experiment.

use super::super::Catalogue;
use ridgeline_experiment::data::Data;
use ridgeline_experiment::matrix::label;
use ridgeline_experiment::published::{Published, Source};
use ridgeline_experiment::report::{Block, ClaimLink, Section};
use ridgeline_experiment::study::Chapter;
use ridgeline_experiment::verdict::{Outcome, Verdict};
use std::collections::BTreeMap;

/// Section with a row for every claim of the published studies.
pub(super) fn register(verdicts: &[Verdict], data: &Data<'_>) -> Section {
    let intro = format!(
        "{} claims of four studies, by verdict. {}. Each row opens its evidence. \u{201c}Poor test\u{201d} marks a verdict for which this \
         device, its models or the number of visits say little.",
        verdicts.len(),
        capitalized(&counts(verdicts))
    );
    let cells: BTreeMap<&str, String> = data
        .cells()
        .iter()
        .filter_map(|visits| visits.last())
        .map(|record| (record.cell_id.as_str(), label(&record.measure, &record.point)))
        .collect();
    let named = |id: &String| cells.get(id.as_str()).cloned().unwrap_or_else(|| id.clone());
    let verdicts = verdicts
        .iter()
        .cloned()
        .map(|it| Verdict { evidence: it.evidence.iter().map(named).collect(), ..it });
    Section::new("Claims of the studies", intro).with(Block::Verdicts(verdicts.collect()))
}

/// A text with a capital first letter.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Numbers of verdicts by outcome: `holds: 1, does not hold: 7 (2 of them poor tests)`.
fn counts<'a>(verdicts: impl IntoIterator<Item = &'a Verdict> + Clone) -> String {
    let of = |outcome: Outcome| {
        let own = || verdicts.clone().into_iter().filter(|it| it.outcome == outcome);
        let (n, poor) = (own().count(), own().filter(|it| !it.caveats.is_empty()).count());
        let weak = match poor {
            0 => String::new(),
            _ if poor == n => " (all of them poor tests)".to_owned(),
            _ => format!(" ({poor} of them poor tests)"),
        };
        let decided = matches!(outcome, Outcome::Holds | Outcome::DoesNotHold);
        (n > 0).then(|| format!("{}: {n}{}", outcome.label(), if decided { &weak } else { "" }))
    };
    let all = [Outcome::Holds, Outcome::DoesNotHold, Outcome::Undecided, Outcome::CannotBeTested];
    all.into_iter().filter_map(of).collect::<Vec<_>>().join(", ")
}

/// The chapters of the studies in the order of their publication files, each with its experiments in the order of the list.
pub(super) fn studies(
    mut chapters: Vec<(&'static str, Chapter)>,
    verdicts: &[Verdict],
    catalogue: &Catalogue,
    published: &Published,
) -> Vec<Section> {
    let mut sections = Vec::new();
    for source in published.sources() {
        let is_own = |id: &str| id.split('-').next() == Some(source.prefix.as_str());
        let (own, others) = chapters.into_iter().partition::<Vec<_>, _>(|(id, _)| is_own(id));
        chapters = others;
        let claims: Vec<&Verdict> = verdicts.iter().filter(|it| is_own(&it.claim)).collect();
        if own.is_empty() && claims.is_empty() {
            continue;
        }
        sections.push(chapter(source, &claims, own.is_empty()));
        sections.extend(own.into_iter().map(|(id, it)| experiment(id, it, verdicts, catalogue)));
    }
    // An experiment of no published study, which a catalogue of its own may have.
    sections.extend(chapters.into_iter().map(|(id, it)| experiment(id, it, verdicts, catalogue)));
    sections
}

/// The head of a study's chapter.
fn chapter(source: &Source, claims: &[&Verdict], is_empty: bool) -> Section {
    let framework =
        source.framework.as_ref().map_or_else(String::new, |it| format!("The study measured {it}. "));
    let counts = counts(claims.iter().copied());
    let none = if is_empty { " This run has no cell of its experiments." } else { "" };
    let intro =
        format!("\u{201c}{}\u{201d}. {framework}Its {} claims: {counts}.{none}", source.title, claims.len());
    // The part before the colon names a paper; the rest is in the introduction.
    let short = source.title.split(": ").next().unwrap_or_default();
    Section::new(format!("{}: {short}", source.prefix), intro).at(&source.prefix)
}

/// Section of one experiment: its question, what is wrong with the published form, its claims and its blocks.
fn experiment(id: &str, chapter: Chapter, verdicts: &[Verdict], catalogue: &Catalogue) -> Section {
    let study = catalogue.studies.iter().find(|it| it.id == id);
    let (title, intro) = study.map_or((id.to_owned(), String::new()), |it| {
        (format!("{id}: {}", it.title), format!("{} {}", it.question, it.about))
    });
    let mut section = Section::experiment(id, title, intro);
    let own = verdicts.iter().filter(|it| it.study == id);
    let links: Vec<ClaimLink> =
        own.map(|it| ClaimLink { claim: it.claim.clone(), outcome: it.outcome }).collect();
    if !links.is_empty() {
        section.blocks.push(Block::Claims(links));
    }
    section.blocks.extend(chapter.blocks);
    section
}
