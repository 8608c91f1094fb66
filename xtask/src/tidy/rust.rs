//! A minimal Rust lexer: tells code from comments and strings, and product code from tests.

use super::source::File;
use super::style::is_tests;

/// Which text of a file to keep. Line numbers do not change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Code with the contents of its string literals.
    CodeAndStrings,
    /// Code without string literals.
    Code,
}

/// The text of `file` without comments, and without strings for [`Keep::Code`].
pub(crate) fn code(file: &File, keep: Keep) -> String {
    let mut kept = String::with_capacity(file.text.len());
    for part in parts(&file.text, token) {
        if part.kind == Kind::Code || (part.kind == Kind::String && keep == Keep::CodeAndStrings) {
            kept.push_str(part.text);
        } else {
            kept.extend(part.text.chars().filter(|&c| c == '\n'));
        }
    }
    kept
}

/// A comment, a string literal or one character of code.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) kind: Kind,
    /// Offset in bytes.
    pub(crate) start: usize,
    /// The line it begins on, from 1.
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

/// The kind and length in bytes of a text's first token.
///
/// Takes the text, its first character, and whether that character follows a word.
pub(crate) type Token = fn(&str, char, bool) -> (Kind, usize);

/// Splits `text` by the lexical rules of a language.
pub(crate) fn parts(text: &str, token: Token) -> impl Iterator<Item = Part<'_>> {
    let (mut start, mut line, mut after_word) = (0, 1, false);
    std::iter::from_fn(move || {
        let rest = &text[start..];
        let first = rest.chars().next()?;
        let (kind, length) = token(rest, first, after_word);
        let part = Part { kind, start, line, text: &rest[..length] };
        after_word = is_word(first) && kind == Kind::Code;
        line += part.text.matches('\n').count();
        start += length;
        Some(part)
    })
}

/// As [`code`], but without the test modules at the end of the file. Empty for files of tests.
pub(crate) fn product_code(file: &File, keep: Keep) -> String {
    if is_tests(file) {
        return String::new();
    }
    let code = code(file, keep);
    let mut kept = String::new();
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_a_module =
            |next: &&str| next.trim_start().starts_with("mod ") && next.trim_end().ends_with('{');
        if line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(opens_a_module) {
            break;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// The identifiers of `text`: the longest runs of letters, digits and underscores.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

/// The identifiers between the brackets of the macro call `name! { … }`. `None` without such a call.
pub(crate) fn macro_list<'a>(code: &'a str, name: &str) -> Option<Vec<&'a str>> {
    for (at, _) in code.match_indices(&format!("{name}!")) {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let arguments = code[at + name.len() + 1..].trim_start();
        let (Some(open @ ('{' | '(' | '[')), close) = (arguments.chars().next(), ['}', ')', ']']) else {
            continue;
        };
        let inside = &arguments[open.len_utf8()..];
        return Some(words(&inside[..inside.find(close)?]).collect());
    }
    None
}

/// The kind of a [`Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Comment,
    String,
}

/// Rust's lexical rules, which also fit WGSL's comments.
pub(crate) fn token(text: &str, first: char, after_word: bool) -> (Kind, usize) {
    let one = (Kind::Code, first.len_utf8());
    match first {
        '/' if text.starts_with("//") => (Kind::Comment, text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => (Kind::Comment, block_comment(text)),
        '"' => (Kind::String, quoted(text, '"')),
        '\'' => char_literal(text).map_or(one, |length| (Kind::String, length)),
        'r' | 'b' if !after_word => raw_string(text).map_or(one, |length| (Kind::String, length)),
        _ => one,
    }
}

/// Length of a block comment, with the comments nested in it.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a literal between two `quote` characters, with backslash escapes.
pub(crate) fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal, or `None` for a lifetime.
fn char_literal(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, content) = chars.next()?;
    if content == '\\' {
        return Some(quoted(text, '\''));
    }
    let (end, close) = chars.next()?;
    (close == '\'').then_some(end + 1)
}

/// Length of a raw string such as `r"…"`, `r#"…"#` or `br"…"`, or `None` for anything else.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after[hashes..].strip_prefix('"')?;
    let start = text.len() - content.len();
    let close = format!("\"{}", "#".repeat(hashes));
    Some(content.find(&close).map_or(text.len(), |at| start + at + close.len()))
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "crates/x/src/lib.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn comments_are_removed_and_lines_kept() {
        let text = "//! a\nlet b = 1; // c\n/* d /* e */\n f */ let g;\n";
        assert_eq!(code(&file(text), Keep::Code), "\nlet b = 1; \n\n let g;\n");
    }

    #[test]
    fn strings_may_hold_quotes_and_slashes() {
        let text = "let a = \"//\\\" b\"; let c = r#\"\"d\"#; let e = '\"'; let f: &'static str = br\"g\";";
        assert_eq!(code(&file(text), Keep::Code), "let a = ; let c = ; let e = ; let f: &'static str = ;");
        assert_eq!(code(&file(text), Keep::CodeAndStrings), text);
    }

    #[test]
    fn a_word_ending_in_r_starts_no_raw_string() {
        assert_eq!(code(&file("var\"x\" 'a' '\\''"), Keep::Code), "var  ");
    }

    #[test]
    fn the_test_module_is_not_product_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(product_code(&file(text), Keep::Code), "fn a() {}\n");
        let outside = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(product_code(&file(outside), Keep::Code), outside);
    }

    #[test]
    fn a_macro_call_is_read_and_its_definition_is_not() {
        let code = "macro_rules! kernels { () => {} }\nmy_kernels! { x }\nkernels! {\n    mat_vec, copy\n}";
        assert_eq!(macro_list(code, "kernels"), Some(vec!["mat_vec", "copy"]));
        assert_eq!(macro_list("macro_rules! kernels { () => {} }", "kernels"), None);
    }
}
