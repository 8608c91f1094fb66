//! The access token, from a flag, the environment or the file that `hf auth login` writes.

use crate::Error;
use crate::cache::{home, variable};
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// An access token of the Hub. It is sent to the endpoint only, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A token. White space around it is removed.
    ///
    /// # Errors
    /// [`Error::Setting`] where it is empty, or has a character that no HTTP header may have.
    pub fn new(text: &str, source: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|it| it.is_ascii_graphic()) {
            let problem = "the token is empty, or has white space or other characters than ASCII".to_owned();
            return Err(Error::Setting { variable: source.to_owned(), problem });
        }
        Ok(Self(text.to_owned()))
    }

    /// The token of `HF_TOKEN`, else of the file `HF_TOKEN_PATH`, which is `token` in the folder `HF_HOME` by default.
    ///
    /// # Errors
    /// As [`Self::new`]; [`Error::Io`] where a file is named and cannot be read.
    pub fn from_env() -> Result<Option<Self>, Error> {
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(text) = variable(name) {
                return Self::new(&text.to_string_lossy(), name).map(Some);
            }
        }
        if is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return Ok(None);
        }
        let named = variable("HF_TOKEN_PATH").map(PathBuf::from);
        let Some(path) = named.clone().or_else(|| home().ok().map(|it| it.join("token"))) else {
            return Ok(None);
        };
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Self::new(&text, &path.display().to_string()).map(Some),
            Err(_) if named.is_none() => Ok(None),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

/// Whether an environment variable is a switch that is on, as `huggingface_hub` reads it.
pub(crate) fn is_on(name: &str) -> bool {
    variable(name)
        .is_some_and(|it| ["1", "ON", "YES", "TRUE"].contains(&&*it.to_string_lossy().to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn a_token_is_one_word_and_never_printed() {
        let token = Token::new(" hf_secret\n", "HF_TOKEN").expect("a token");
        assert_eq!(token.header(), "Bearer hf_secret");
        assert!(!format!("{token:?}").contains("secret"));
        for text in ["", " \n", "a b", "a\r\nX-Evil: 1", "ä"] {
            let error = Token::new(text, "HF_TOKEN").expect_err(text).to_string();
            assert!(error.starts_with("HF_TOKEN: ") && !error.contains("Evil"), "{error}");
        }
    }
}
