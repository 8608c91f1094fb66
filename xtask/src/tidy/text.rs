//! Prose: comments, string literals and documents, and their paragraphs.
//!
//! A minimal Markdown reader, which does not understand nested quotes or HTML blocks.

use super::rust::{self, Kind, Part};
use super::source::File;

/// A line and its number.
pub(super) type Numbered<'a> = (usize, &'a str);

/// Spaces that indent a line of code in Markdown.
const CODE_INDENT: usize = 4;

/// Comment markers. A marker comes before its own prefixes.
const MARKERS: [&str; 6] = [TEMPLATE, "///", "//!", "//", BLOCK, "#"];

/// Marks template statements in shaders, which are code.
const TEMPLATE: &str = "//#";

const BLOCK: &str = "/*";

/// Blocks of prose: consecutive comment lines of one kind, or a whole document.
pub(super) fn blocks(file: &File) -> Vec<Vec<Numbered<'_>>> {
    if file.has_extension("md") {
        let document: Vec<_> = file.lines().collect();
        return if document.is_empty() { Vec::new() } else { vec![document] };
    }
    let mut blocks: Vec<Vec<Numbered<'_>>> = Vec::new();
    // The marker and the line of a comment that continues the last block.
    let mut next = None;
    for part in parts(file).filter(|part| part.kind == Kind::Comment) {
        let marker = MARKERS.into_iter().find(|marker| part.text.starts_with(marker)).unwrap_or("//");
        if marker == TEMPLATE {
            continue;
        }
        let alone = stands_alone(file, &part);
        if !alone || next != Some((marker, part.line)) {
            blocks.push(Vec::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.extend(comment_lines(&part, marker));
        }
        next = (alone && marker != BLOCK).then_some((marker, part.line + 1));
    }
    blocks
}

/// The string literals of `file` with their quotes, and the line each begins on.
pub(super) fn strings(file: &File) -> impl Iterator<Item = Numbered<'_>> {
    parts(file).filter(|part| part.kind == Kind::String).map(|part| (part.line, part.text))
}

fn parts(file: &File) -> impl Iterator<Item = Part<'_>> {
    let text = if file.has_extension("md") { "" } else { file.text.as_str() };
    rust::parts(text, if file.has_extension("toml") { toml_token } else { rust::token })
}

/// TOML's lexical rules.
fn toml_token(text: &str, first: char, _after_word: bool) -> (Kind, usize) {
    let until = |close: &str| text[close.len()..].find(close).map_or(text.len(), |at| at + 2 * close.len());
    match first {
        '#' => (Kind::Comment, text.find('\n').unwrap_or(text.len())),
        '"' if text.starts_with("\"\"\"") => (Kind::String, until("\"\"\"")),
        '\'' if text.starts_with("'''") => (Kind::String, until("'''")),
        '"' => (Kind::String, rust::quoted(text, '"')),
        '\'' => (Kind::String, until("'")),
        _ => (Kind::Code, first.len_utf8()),
    }
}

/// Whether only white space precedes the comment on its line.
fn stands_alone(file: &File, part: &Part<'_>) -> bool {
    let before = &file.text[..part.start];
    before.rsplit('\n').next().is_none_or(|line| line.trim().is_empty())
}

/// A comment's lines without its markers.
fn comment_lines<'a>(part: &Part<'a>, marker: &'static str) -> impl Iterator<Item = Numbered<'a>> {
    let content = part.text.strip_prefix(marker).unwrap_or(part.text);
    let is_block = marker == BLOCK;
    let content = if is_block { content.trim_end_matches("*/") } else { content };
    (part.line..).zip(content.split('\n').map(move |line| {
        let star = if is_block { line.trim_start().strip_prefix('*') } else { None };
        let line = star.unwrap_or(line);
        line.strip_prefix(' ').unwrap_or(line)
    }))
}

/// The paragraphs, headings and list items of Markdown, without tables and code.
pub(super) fn paragraphs<'a>(block: &[Numbered<'a>]) -> Vec<Vec<Numbered<'a>>> {
    let mut reader = Reader::default();
    for &(number, text) in front_matter_skipped(block) {
        reader.read(number, text);
    }
    reader.close();
    reader.done
}

/// The document without the YAML between two rules at its beginning.
fn front_matter_skipped<'b, 'a>(block: &'b [Numbered<'a>]) -> &'b [Numbered<'a>] {
    let is_rule = |&(_, text): &Numbered<'_>| text == "---";
    let end = block.iter().skip(1).position(is_rule);
    match end {
        Some(end) if block.first().is_some_and(is_rule) => &block[end + 2..],
        _ => block,
    }
}

#[derive(Default)]
struct Reader<'a> {
    done: Vec<Vec<Numbered<'a>>>,
    open: Vec<Numbered<'a>>,
    /// The marker of the open fenced block.
    fence: Option<&'static str>,
    in_list: bool,
    in_quote: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self, number: usize, raw: &'a str) {
        let text = raw.trim();
        let fence = ["```", "~~~"].into_iter().find(|fence| text.starts_with(fence));
        if let Some(open) = self.fence {
            self.fence = Some(open).filter(|_| fence != Some(open));
        } else if fence.is_some() {
            self.close();
            self.fence = fence;
        } else {
            let quoted = text.strip_prefix('>');
            if quoted.is_some() != self.in_quote {
                self.close();
            }
            self.in_quote = quoted.is_some();
            self.read_prose(number, quoted.unwrap_or(raw));
        }
    }

    fn read_prose(&mut self, number: usize, raw: &'a str) {
        let text = raw.trim();
        let indent = raw.len() - raw.trim_start().len();
        if let Some(item) = list_item(text) {
            self.close();
            self.in_list = true;
            self.open.push((number, item));
            return;
        }
        if self.open.is_empty() && indent == 0 && !text.is_empty() {
            self.in_list = false;
        }
        if is_break(text) || (indent >= CODE_INDENT && !self.in_list) {
            self.close();
        } else if let Some(heading) = heading(text) {
            self.close();
            self.open.push((number, heading));
            self.close();
        } else {
            self.open.push((number, text));
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }
}

/// Whether a line ends a paragraph: a blank line, table row, rule, link target or HTML.
fn is_break(text: &str) -> bool {
    let is_rule = !text.is_empty() && text.chars().all(|c| "-=*_".contains(c));
    let is_target = text.starts_with('[') && text.contains("]: ");
    let is_html = text.starts_with('<') && text.ends_with('>') && !text.starts_with("<http");
    text.is_empty() || text.starts_with('|') || is_rule || is_target || is_html
}

fn heading(text: &str) -> Option<&str> {
    text.strip_prefix('#').and_then(|rest| rest.trim_start_matches('#').strip_prefix(' '))
}

/// The text of a list item.
fn list_item(text: &str) -> Option<&str> {
    let bullet = ["- ", "* ", "+ "].into_iter().find_map(|bullet| text.strip_prefix(bullet));
    bullet.or_else(|| {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_number = (1..=2).contains(&(text.len() - rest.len()));
        let item = rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))?;
        is_number.then_some(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn joined(file: &File) -> Vec<String> {
        let paragraphs = blocks(file).into_iter().flat_map(|block| paragraphs(&block));
        let join = |paragraph: Vec<Numbered<'_>>| {
            let text: Vec<&str> = paragraph.iter().map(|(_, text)| *text).collect();
            format!("{} {}", paragraph[0].0, text.join(" "))
        };
        paragraphs.map(join).collect()
    }

    #[test]
    fn comment_lines_of_one_kind_are_one_text() {
        let text =
            "//! a\n//! b\n// c\n\n// d\n/// e\n/// f\nlet g = 1; // h\nlet i = 2; // j\n/* k\n * l */\n";
        let expected = ["1 a b", "3 c", "5 d", "6 e f", "8 h", "9 j", "10 k l"];
        assert_eq!(joined(&file("a.rs", text)), expected);
    }

    #[test]
    fn strings_are_no_comments() {
        let text = "let a = \"// b\n// c\"; // d\nlet e = r#\"\"// f\"#;\nlet g = '\"'; // h\n";
        assert_eq!(joined(&file("a.rs", text)), ["2 d", "4 h"]);
        let toml =
            "a = \"# b\" # c\nd = '# \\' # e\nf = \"\"\"\n# g\n\"\"\"\n# h\n# i\nj = '''\n# k''' # l\n";
        assert_eq!(joined(&file("a.toml", toml)), ["1 c", "2 e", "6 h i", "9 l"]);
        let found: Vec<_> = strings(&file("a.toml", "# \"no\"\na = 'b'\nc = \"d\"\n"))
            .map(|(line, text)| format!("{line} {text}"))
            .collect();
        assert_eq!(found, ["2 'b'", "3 \"d\""]);
    }

    #[test]
    fn template_lines_are_code() {
        assert_eq!(joined(&file("a.wgsl", "// a\n//# for c in d\n// * b\n// * c\n")), ["1 a", "3 b", "4 c"]);
    }

    #[test]
    fn a_document_falls_into_paragraphs() {
        let text = "# Head\na\nb\n\n- c\n  d\n* e\n    f\n1. g\n\nh\n> i\n> j\nk\n---\nl\n";
        let expected = ["1 Head", "2 a b", "5 c d", "7 e f", "9 g", "11 h", "12 i j", "14 k", "16 l"];
        assert_eq!(joined(&file("a.md", text)), expected);
    }

    #[test]
    fn tables_and_code_are_skipped() {
        let text =
            "a\n| b | c |\nd\n```text\ne\n~~~\n```\nf\n\n    g\n\nh\n\n[i]: https://j\n<img src=\"k\">\n";
        assert_eq!(joined(&file("a.md", text)), ["1 a", "3 d", "8 f", "12 h"]);
        let doc = "/// a\n/// ```\n/// // b\n/// ```\n/// c\n";
        assert_eq!(joined(&file("a.rs", doc)), ["1 a", "5 c"]);
        assert_eq!(joined(&file("a.md", "---\ntitle: a\n---\nb\n")), ["4 b"]);
    }
}
