//! The report as one self-contained HTML page: inline CSS, inline SVG, and the data as JSON. It loads nothing.
//!
//! Without its script the page lacks filters, sorting, and the tables of the figures' numbers. The script makes these tables
//! from the JSON.

mod claims;
mod table;

use super::svg::escape;
use super::{Block, Level, Report, Section, lines, roofline, slug, waterfall};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Colors and rules of drawings, for the page and for figures in files of their own.
pub(super) const FIGURE_STYLE: &str = include_str!("figure.css");

/// Renders a report as an HTML page.
///
/// # Errors
/// [`crate::Error::Json`] where the data cannot be embedded.
pub fn html(report: &Report) -> Result<String, crate::Error> {
    let data = serde_json::to_string(report).map_err(crate::Error::json("report data"))?;
    // "</script" would end the script element, and "<!--" would change how it is parsed.
    let data = data.replace('<', "\\u003c");
    let title = escape(&report.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{FIGURE_STYLE}{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to the content</a>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"subtitle\">{}</p>\n</header>\n",
        escape(&report.subtitle)
    );
    page += &contents(report);
    page += "<main id=\"content\">\n";
    for (i, section) in report.sections.iter().enumerate() {
        page += &section_html(i, section, report);
    }
    page += &provenance(report);
    page += &format!(
        "</main>\n<script type=\"application/json\" id=\"report-data\">{data}</script>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
    Ok(page)
}

/// The table of contents: chapters, each with a list of its experiments.
fn contents(report: &Report) -> String {
    let link =
        |section: &Section| format!("<a href=\"#{}\">{}</a>", escape(&section.id), escape(&section.title));
    let mut text = "<nav aria-label=\"Contents\">\n<ul>\n".to_owned();
    let mut rest = report.sections.as_slice();
    while let Some((first, others)) = rest.split_first() {
        let inner = others.iter().take_while(|section| section.level == Level::Experiment).count();
        text += &format!("<li>{}", link(first));
        if inner > 0 {
            text += "\n<ul>\n";
            for section in &others[..inner] {
                text += &format!("<li>{}</li>\n", link(section));
            }
            text += "</ul>\n";
        }
        text += "</li>\n";
        rest = &others[inner..];
    }
    text + "<li><a href=\"#provenance\">Provenance</a></li>\n</ul>\n</nav>\n"
}

fn provenance(report: &Report) -> String {
    let mut text = "<section id=\"provenance\" aria-labelledby=\"provenance-title\">\n\
                    <h2 id=\"provenance-title\">Provenance</h2>\n<dl class=\"facts\">\n"
        .to_owned();
    for (key, value) in &report.provenance {
        text += &format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(key), escape(value));
    }
    text + "</dl>\n</section>\n"
}

fn section_html(number: usize, section: &Section, report: &Report) -> String {
    let (id, heading) = (escape(&section.id), if section.level == Level::Chapter { "h2" } else { "h3" });
    let mut text = format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<{heading} id=\"{id}-title\">{}</{heading}>\n",
        escape(&section.title)
    );
    if !section.intro.is_empty() {
        text += &format!("<p class=\"intro\">{}</p>\n", escape(&section.intro));
    }
    let (mut defined, place) = (Vec::new(), Place::of(section, report));
    for (i, block) in section.blocks.iter().enumerate() {
        text += &block_html((number, i), block, &mut defined, &place);
    }
    text + "</section>\n"
}

fn block_html(
    at: (usize, usize),
    block: &Block,
    defined: &mut Vec<&'static str>,
    place: &Place<'_>,
) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Warning(text) => format!("<p class=\"warning\">{}</p>\n", escape(text)),
        Block::Table(it) => table::html(it, defined),
        Block::Roofline(it) => {
            let panels: String = roofline::panels(it).into_iter().map(|panel| panel.svg).collect();
            figure(at, "panels", &panels, &it.caption)
        }
        Block::Waterfalls(it) => figure(at, "drawing", &waterfall::svg(it), &it.caption),
        Block::Lines(it) => figure(at, "drawing", &lines::svg(it), &it.caption),
        Block::Verdicts(verdicts) => claims::register(verdicts, place),
        Block::Claims(links) => claims::links(links, place),
    }
}

/// The device whose claims a section has, and the anchors that links of the page may name.
struct Place<'a> {
    /// End of the anchors of a further device; empty for the first.
    device: &'a str,
    report: &'a Report,
}

impl<'a> Place<'a> {
    fn of(section: &'a Section, report: &'a Report) -> Self {
        let id = section.id.as_str();
        Self { device: id.find("-device-").map_or("", |at| &id[at..]), report }
    }

    /// The anchor of an id on this device.
    fn anchor(&self, id: &str) -> String {
        format!("{}{}", slug(id), self.device)
    }

    /// Whether the report has a section of an id on this device.
    fn has(&self, id: &str) -> bool {
        let anchor = self.anchor(id);
        self.report.sections.iter().any(|section| section.id == anchor)
    }
}

/// A figure with its caption. The script makes the table of its numbers from the data of the page, so that no number is
/// there once more.
fn figure((section, block): (usize, usize), class: &str, svg: &str, caption: &str) -> String {
    let caption = escape(caption);
    format!(
        "<figure>\n<div class=\"{class}\">\n{svg}</div>\n<figcaption>{caption}</figcaption>\n\
         <details class=\"numbers\" data-section=\"{section}\" data-block=\"{block}\"><summary>Numbers of this figure</summary>\n\
         <p class=\"note\">The Markdown form of the report lists them. In this page, a script makes their table.</p>\n\
         </details>\n</figure>\n"
    )
}
