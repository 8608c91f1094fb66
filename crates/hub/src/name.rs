//! Names of models: `user/model[@revision][:quantization or file]`.

use crate::Error;
use std::fmt;
use std::str::FromStr;

/// Longest repository name that the Hub allows, in bytes.
const LONGEST: usize = 96;

/// A parsed name of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `user/model`.
    pub repo: String,
    /// A branch, a tag or a commit. `main` is the default.
    pub revision: String,
    /// The quantization, such as `Q4_K_M` in any case, or a file of the repository.
    pub selection: Option<String>,
}

/// The default branch.
const MAIN: &str = "main";

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |problem| Error::Name { name: text.to_owned(), problem };
        let (left, selection) = match text.split_once(':') {
            Some((_, selection)) if selection.starts_with("//") => {
                return Err(wrong("it is an address; leave out all before user/model"));
            }
            Some((left, selection)) => (left, Some(selection)),
            None => (text, None),
        };
        let (repo, revision) = left.split_once('@').unwrap_or((left, MAIN));
        let Some((user, model)) = repo.split_once('/') else {
            return Err(wrong("a repository has two parts"));
        };
        if !is_part(user) || !is_part(model) || repo.len() > LONGEST {
            return Err(wrong(
                "a part of a repository has letters, digits, and single - . and _ between them",
            ));
        }
        if !is_path(revision) {
            return Err(wrong("after @ is a branch, a tag or a commit"));
        }
        if !selection.is_none_or(is_path) {
            return Err(wrong("after the colon is a quantization or a file of the repository"));
        }
        let selection = selection.map(str::to_owned);
        Ok(Self { repo: repo.to_owned(), revision: revision.to_owned(), selection })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        self.selection.as_ref().map_or(Ok(()), |it| write!(f, ":{it}"))
    }
}

/// Whether `text` may be a user's or a model's name. `--` and `..` are not allowed, and so none leaves its folder.
fn is_part(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
    let ends = |it: Option<&u8>| it.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
    let bytes = text.as_bytes();
    bytes.iter().all(|&it| plain(it))
        && ends(bytes.first())
        && ends(bytes.last())
        && !text.contains("--")
        && !text.contains("..")
}

/// Whether `text` is a relative path of plain names, with `/` between them.
pub(crate) fn is_path(text: &str) -> bool {
    let plain = |it: char| !it.is_control() && !matches!(it, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    text.split('/')
        .all(|part| !part.is_empty() && part.trim_end_matches(['.', ' ']) == part && !part.starts_with(' '))
        && text.chars().all(plain)
}

/// Whether `text` is the full hash of a Git commit.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{Name, is_path};

    #[test]
    fn a_name_has_up_to_three_parts() {
        let parse = |text: &str| text.parse::<Name>().expect("a name");
        let name = parse("ggml-org/gemma-3-1b-it-GGUF:q8_0");
        assert_eq!((&*name.repo, &*name.revision), ("ggml-org/gemma-3-1b-it-GGUF", "main"));
        assert_eq!(name.selection.as_deref(), Some("q8_0"));
        let name = parse("a/b@refs/pr/1:sub/c-Q4_K_M.gguf");
        assert_eq!((&*name.revision, name.selection.as_deref()), ("refs/pr/1", Some("sub/c-Q4_K_M.gguf")));
        for text in ["a/b", "a/b@v1", "a/b:Q4_K_M", "a/b@v1:x/y.gguf"] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("a/b@main").to_string(), "a/b");
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "a",
            "/a",
            "a/",
            "a/b/c",
            "../b",
            "a/..",
            "a/.b",
            "a/b--c",
            "a/b c",
            "a/b@",
            "a/b:",
            "a/b@../x",
            "a/b:../x",
            "a/b:/x",
            "a/b:x//y",
            "a/b:x/./y",
            "a/b:c:d",
            "https://huggingface.co/a/b",
            "a/b:x\ny",
            "a\\b/c",
            "a/b@x:\u{1b}[0m",
        ] {
            let error = text.parse::<Name>().expect_err(text).to_string();
            assert!(error.contains("user/model") && !error.contains('\u{1b}'), "{error}");
        }
        assert!(
            "a/".to_owned().parse::<Name>().is_err()
                && format!("a/{}", "b".repeat(95)).parse::<Name>().is_err()
        );
    }

    #[test]
    fn a_path_stays_in_its_folder() {
        assert!(is_path("a") && is_path("a/b c-1.gguf") && is_path(".gitattributes"));
        for text in ["", "/", "/a", "a/", "..", "a/../b", ".", "a\\b", "C:a", "a\0", "a//b", "a./b", " a"] {
            assert!(!is_path(text), "{text:?}");
        }
    }
}
