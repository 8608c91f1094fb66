//! The first figure and the first sentences of a report, for a page that quotes it.

use super::figures::{File, files};
use super::{Block, Report};

/// Sentences of an excerpt.
const SENTENCES: usize = 3;

/// What a page quotes of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The first figure, as SVG.
    pub figure: File,
    /// The first sentence of its caption.
    pub caption: String,
    /// The first three sentences of the report's paragraphs.
    pub sentences: Vec<String>,
}

/// The excerpt of a report; `None` where it has no figure or no paragraph. Warnings and introductions are no paragraphs.
#[must_use]
pub fn excerpt(report: &Report) -> Option<Excerpt> {
    let blocks = || report.sections.iter().flat_map(|section| &section.blocks);
    let figure = files(report).into_iter().find(|file| file.name.ends_with(".svg"))?;
    let caption = blocks().find_map(|block| match block {
        Block::Roofline(figure) => Some(&figure.caption),
        Block::Waterfalls(figure) => Some(&figure.caption),
        Block::Lines(figure) => Some(&figure.caption),
        _ => None,
    })?;
    let texts = blocks().filter_map(|block| if let Block::Text(text) = block { Some(text) } else { None });
    let sentences: Vec<String> = texts.flat_map(|text| self::sentences(text)).take(SENTENCES).collect();
    let caption = self::sentences(caption).into_iter().next().unwrap_or_default();
    (!sentences.is_empty()).then_some(Excerpt { figure, caption, sentences })
}

/// The sentences of a text: each ends at a full stop before a space and a capital, a digit or the end.
fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(". ") {
        let next = text[at + 2..].chars().next();
        if next.is_some_and(|c| c.is_uppercase() || c.is_ascii_digit()) {
            found.push(text[start..=at].to_owned());
            start = at + 2;
        }
    }
    if start < text.len() {
        found.push(text[start..].to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{excerpt, sentences};
    use crate::report::{Axis, Block, Line, Lines, Report, Section};
    use ridgeline_roofline::Measured;

    #[test]
    fn a_sentence_ends_at_its_full_stop() {
        let text = "It reaches 30.7 tokens/s, e.g. on llvmpipe. At best 126. 24 % of it.";
        assert_eq!(
            sentences(text),
            ["It reaches 30.7 tokens/s, e.g. on llvmpipe.", "At best 126.", "24 % of it."]
        );
        assert!(sentences("").is_empty());
    }

    #[test]
    fn an_excerpt_skips_warnings_and_takes_the_first_figure() {
        let axis = || Axis { title: "x".to_owned(), ..Axis::default() };
        let line =
            Line { label: "l".to_owned(), points: vec![(1.0, Measured::exact(1.0))], predicted: false };
        let lines = Lines { caption: "First. Second.".to_owned(), x: axis(), y: axis(), lines: vec![line] };
        let section = Section::new("The answer", "Not this.")
            .with(Block::Warning("Nor this.".to_owned()))
            .with(Block::Text("One. Two.".to_owned()))
            .with(Block::Lines(lines))
            .with(Block::Text("Three. Four.".to_owned()));
        let it =
            excerpt(&Report { sections: vec![section], ..Report::default() }).expect("a figure and text");
        assert_eq!((it.figure.name.as_str(), it.caption.as_str()), ("the-answer-lines.svg", "First."));
        assert_eq!(it.sentences, ["One.", "Two.", "Three."]);
        assert_eq!(excerpt(&Report::default()), None);
    }
}
