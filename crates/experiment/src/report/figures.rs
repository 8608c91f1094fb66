//! The report's drawings as files of their own: SVG with its style inside, light and dark.

use super::{Block, Report, lines, roofline, waterfall};

const STYLE: &str = include_str!("style.css");

/// Every drawing of a report in reading order: a file name such as `prompt-and-generation-waterfall.svg`, and its SVG.
///
/// A second drawing of one kind in a section has a number in its name.
#[must_use]
pub fn figures(report: &Report) -> Vec<(String, String)> {
    let mut figures: Vec<(String, String)> = Vec::new();
    for section in &report.sections {
        for block in &section.blocks {
            let Some((kind, svg)) = drawing(block) else { continue };
            let base = format!("{}-{kind}", slug(&section.title));
            let taken = |name: &str| figures.iter().any(|(known, _)| known == name);
            let mut name = format!("{base}.svg");
            for number in 2.. {
                if !taken(&name) {
                    break;
                }
                name = format!("{base}-{number}.svg");
            }
            figures.push((name, standalone(&svg)));
        }
    }
    figures
}

fn drawing(block: &Block) -> Option<(&'static str, String)> {
    match block {
        Block::Roofline(figure) => Some(("roofline", roofline::svg(figure))),
        Block::Waterfalls(figure) => Some(("waterfall", waterfall::svg(figure))),
        Block::Lines(figure) => Some(("lines", lines::svg(figure))),
        Block::Text(_) | Block::Table(_) | Block::Verdicts(_) => None,
    }
}

/// Lower-case letters and digits of a title, joined by hyphens.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// A drawing with the namespace and the style that it has from the page otherwise.
fn standalone(svg: &str) -> String {
    let colours = STYLE.split_inclusive("\n}\n").take(2).collect::<String>();
    let rules = STYLE.lines().filter(|line| line.starts_with("svg ")).collect::<Vec<_>>().join("\n");
    let style = format!(
        "<style>\n{colours}{rules}\nsvg {{ background: var(--page); font-family: system-ui, sans-serif; }}\n</style>\n"
    );
    let svg = svg.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
    svg.replacen(">\n", &format!(">\n{style}"), 1)
}
