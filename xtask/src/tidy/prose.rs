//! The length of sentences in comments and documents. It is no grammar checker.
//!
//! A sentence ends at `.`, `?` or `!` before white space. A colon or a semicolon does not end one.

use super::Fault;
use super::source::{File, Workspace};
use super::text::{self, Numbered};

/// Words a sentence may have.
const MOST_WORDS: usize = 25;

/// Words that identify a sentence in the list of exceptions.
const KEY_WORDS: usize = 8;

/// The list of exceptions: a path, a tab and the first words of a sentence on each line.
const LIST_PATH: &str = "xtask/src/tidy/long_sentences.txt";
const LIST: &str = include_str!("long_sentences.txt");

/// Entries the list may have. Lower it when entries go; never raise it.
const MOST_EXCEPTIONS: usize = 0;

/// Logs keep their entries unchanged.
const LOGS: [&str; 2] = ["CHANGELOG.md", "docs/measurements.md"];

/// Abbreviations, whose full stop ends no sentence.
const ABBREVIATIONS: [&str; 17] = [
    "e.g.", "i.e.", "al.", "vs.", "cf.", "eq.", "eqs.", "fig.", "figs.", "sec.", "ch.", "tab.", "approx.",
    "resp.", "p.", "pp.", "vol.",
];

/// No sentence is too long, and no exception is stale.
pub(super) fn sentence_length(workspace: &Workspace) -> Vec<Fault> {
    check(workspace, LIST, MOST_EXCEPTIONS)
}

fn check(workspace: &Workspace, list: &str, most: usize) -> Vec<Fault> {
    let exceptions: Vec<&str> = list.lines().collect();
    let mut used = vec![false; exceptions.len()];
    let mut faults = Vec::new();
    for file in workspace.files.iter().filter(|file| !is_exempt(&file.path)) {
        for sentence in sentences_of(file).filter(|sentence| sentence.words.len() > MOST_WORDS) {
            let entry = format!("{}\t{}", file.path, sentence.key());
            match exceptions.iter().position(|exception| *exception == entry) {
                Some(at) => used[at] = true,
                None => faults.push(sentence.fault(&file.path)),
            }
        }
    }
    let stale = (1..).zip(&used).filter(|(_, used)| !**used);
    faults.extend(stale.map(|(line, _)| {
        Fault::at(LIST_PATH, line, "no long sentence in that file begins like this: remove it")
    }));
    if exceptions.len() > most {
        let message = format!("{} entries, at most {most} are allowed", exceptions.len());
        faults.push(Fault::whole(LIST_PATH, message));
    }
    faults
}

fn is_exempt(path: &str) -> bool {
    LOGS.contains(&path) || (path.starts_with("crates/") && path.contains("/tests/data/"))
}

#[derive(Debug, Default)]
struct Sentence {
    /// The line it begins on.
    line: usize,
    words: Vec<String>,
}

impl Sentence {
    /// The words that identify it in the list of exceptions.
    fn key(&self) -> String {
        self.words[..self.words.len().min(KEY_WORDS)].join(" ")
    }

    fn fault(&self, path: &str) -> Fault {
        let (count, key) = (self.words.len(), self.key());
        Fault::at(path, self.line, format!("{count} words, at most {MOST_WORDS} are allowed: {key} …"))
    }
}

fn sentences_of(file: &File) -> impl Iterator<Item = Sentence> {
    let paragraphs = text::blocks(file).into_iter().flat_map(|block| text::paragraphs(&block));
    paragraphs.flat_map(|paragraph| sentences(&paragraph))
}

fn sentences(paragraph: &[Numbered<'_>]) -> Vec<Sentence> {
    let mut found = vec![Sentence::default()];
    for token in tokens(paragraph) {
        let ends = token.ends_a_sentence();
        if let Some(sentence) = found.last_mut()
            && token.is_word()
        {
            if sentence.words.is_empty() {
                sentence.line = token.line;
            }
            sentence.words.push(token.text);
        }
        if ends {
            found.push(Sentence::default());
        }
    }
    found.retain(|sentence| !sentence.words.is_empty());
    found
}

/// A word with its punctuation. Code spans and links may contain white space.
#[derive(Debug, Default)]
struct Token {
    line: usize,
    text: String,
    has_code: bool,
}

impl Token {
    fn is_word(&self) -> bool {
        self.has_code || self.text.contains(char::is_alphanumeric)
    }

    fn ends_a_sentence(&self) -> bool {
        let bare = self.text.trim_end_matches(['"', '\'', '”', '’', ')', ']', '}', '*', '_']);
        // An ellipsis does not end a sentence.
        let full_stop = bare.ends_with('.') && !bare.ends_with("..") && !is_abbreviation(bare);
        full_stop || bare.ends_with(['?', '!'])
    }
}

fn is_abbreviation(token: &str) -> bool {
    let word = token.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    ABBREVIATIONS.contains(&word.as_str())
}

/// Splits a paragraph at white space outside code and links.
fn tokens(paragraph: &[Numbered<'_>]) -> Vec<Token> {
    let lines: Vec<&str> = paragraph.iter().map(|(_, text)| *text).collect();
    let joined = lines.join("\n");
    let (mut rest, mut row) = (joined.as_str(), 0);
    let mut found = vec![Token::default()];
    while let Some((kind, length)) = stretch(rest) {
        let (now, later) = rest.split_at(length);
        if kind == Stretch::Gap {
            found.push(Token::default());
        } else if let Some(token) = found.last_mut() {
            if token.text.is_empty() {
                token.line = paragraph[row].0;
            }
            token.has_code |= kind == Stretch::Code;
            token.text.push_str(&if kind == Stretch::Hidden {
                "]".to_owned()
            } else {
                now.replace('\n', " ")
            });
        }
        row += now.matches('\n').count();
        rest = later;
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stretch {
    /// White space.
    Gap,
    /// A code span, which is one word.
    Code,
    /// The target of a link.
    Hidden,
    Plain,
}

/// The kind and length in bytes of the first stretch of `text`. `None` at its end.
fn stretch(text: &str) -> Option<(Stretch, usize)> {
    let first = text.chars().next()?;
    let special = match first {
        _ if first.is_whitespace() => Some((Stretch::Gap, first.len_utf8())),
        '`' => code_span(text).map(|length| (Stretch::Code, length)),
        ']' => link_target(text).map(|length| (Stretch::Hidden, length)),
        _ => None,
    };
    Some(special.unwrap_or((Stretch::Plain, first.len_utf8())))
}

/// Length of a code span. It ends at as many backticks as it begins with.
fn code_span(text: &str) -> Option<usize> {
    let ticks = |text: &str| text.len() - text.trim_start_matches('`').len();
    let open = ticks(text);
    let mut at = open;
    while let Some(next) = text[at..].find('`') {
        at += next;
        let run = ticks(&text[at..]);
        at += run;
        if run == open {
            return Some(at);
        }
    }
    None
}

/// Length of `](…)` or `][…]`.
fn link_target(text: &str) -> Option<usize> {
    let close = match text[1..].chars().next()? {
        '(' => ')',
        '[' => ']',
        _ => return None,
    };
    text[2..].find(close).map(|at| at + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line and the number of words of each sentence.
    fn counts(path: &str, text: &str) -> Vec<(usize, usize)> {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        sentences_of(&file).map(|sentence| (sentence.line, sentence.words.len())).collect()
    }

    /// The number of words of each sentence of a document.
    fn lengths(text: &str) -> Vec<usize> {
        counts("a.md", text).into_iter().map(|(_, count)| count).collect()
    }

    fn found(files: &[(&str, &str)], list: &str) -> Vec<(String, usize)> {
        let faults = check(&Workspace::of(files), list, 1);
        faults.into_iter().map(|fault| (fault.path, fault.line)).collect()
    }

    #[test]
    fn sentences_cross_lines() {
        assert_eq!(
            counts("a.rs", "/// One two\n/// three. Four\n/// five\n///\n/// six\n"),
            [(1, 3), (2, 2), (5, 1)]
        );
        assert_eq!(counts("a.toml", "# One\n# two.\na = 1 # three\n"), [(1, 2), (3, 1)]);
    }

    #[test]
    fn strings_are_not_counted() {
        assert_eq!(counts("a.rs", "let a = \"// one two\"; // three\n"), [(1, 1)]);
    }

    #[test]
    fn marks_before_white_space_end_a_sentence() {
        assert_eq!(lengths("One two? Three! Four: five; six (seven eight.) **Nine.** Ten"), [2, 1, 5, 1, 1]);
        assert_eq!(lengths("See a.rs and 0.95 and 1.2.3 and x::y."), [8]);
    }

    #[test]
    fn colons_and_semicolons_end_no_sentence() {
        assert_eq!(lengths("One: two; three."), [3]);
    }

    #[test]
    fn abbreviations_end_no_sentence() {
        assert_eq!(lengths("Dao et al. (e.g. Fig. 2, cf. § 3, i.e. Eq. 4) vs. one ... two."), [14]);
    }

    #[test]
    fn code_is_one_word() {
        assert_eq!(
            counts("a.md", "Run `cargo test. Or\nnot` and ``a ` b`` now.\nThen `+`."),
            [(1, 5), (3, 2)]
        );
        assert_eq!(lengths("A stray ` is no code."), [5]);
        assert_eq!(lengths("Here y = W·x - b holds."), [5]);
    }

    #[test]
    fn a_link_counts_its_text() {
        assert_eq!(lengths("See [the long paper](https://a.b/c. d) and [x][y z]."), [6]);
    }

    #[test]
    fn items_tables_and_fences_stand_apart() {
        assert_eq!(
            lengths("# One two\nthree\n- four five\n- six\n\n| a | b |\n```\nc d\n```\n"),
            [2, 1, 2, 1]
        );
    }

    #[test]
    fn a_long_sentence_is_found_and_logs_are_exempt() {
        let (fits, long) = ("word ".repeat(MOST_WORDS), "word ".repeat(MOST_WORDS + 1));
        let paths = ["b.md", "CHANGELOG.md", "docs/measurements.md", "crates/x/tests/data/a.md"];
        let mut files = vec![("a.md", fits.as_str())];
        files.extend(paths.map(|path| (path, long.as_str())));
        let faults = check(&Workspace::of(&files), "", 0);
        let message = "26 words, at most 25 are allowed: word word word word word word word word …";
        assert_eq!(faults, [Fault::at("b.md", 1, message)]);
    }

    #[test]
    fn an_exception_is_used_or_a_fault() {
        let long = format!("A b.\nOne two {}", "word ".repeat(MOST_WORDS));
        let entry = format!("a.md\tOne two{}\n", " word".repeat(KEY_WORDS - 2));
        assert_eq!(found(&[("a.md", &long)], &entry), []);
        assert_eq!(found(&[("a.md", "One two.")], &entry), [(LIST_PATH.to_owned(), 1)]);
        let two = format!("{entry}b.md\tOne\n");
        assert_eq!(found(&[("a.md", &long)], &two), [(LIST_PATH.to_owned(), 2), (LIST_PATH.to_owned(), 0)]);
    }
}
