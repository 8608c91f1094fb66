//! The prompt of a text: where it comes from, its escapes, its tokens, and the end of generation.

use super::flags::Length;
use crate::globals::UsageError;
use crate::output;
use anyhow::Context;
use ridgeline_speculative::Token;
use ridgeline_text::Tokenizer;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Tokens to generate without `-n`.
const N_PREDICT: usize = 128;

/// The prompt and the end of generation.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PromptArgs {
    /// Text of the prompt, or - for stdin; not with -f. Without either, the prompt is the BOS token, if the model adds one
    #[arg(short, long, conflicts_with = "file", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// File with the prompt, in UTF-8, without the line break at its end; not with -p
    #[arg(short, long)]
    file: Option<PathBuf>,
    #[arg(short, long, help = ESCAPE)]
    pub(crate) escape: bool,
    /// Read special tokens in the prompt, such as `<|im_end|>`, as plain text
    #[arg(long)]
    no_parse_special: bool,
    /// Maximum number of tokens to generate; -1 is until the model ends the text or the context is full [default: 128; in a
    /// chat -1]
    #[arg(short, long, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-2..))]
    n_predict: Option<i64>,
    /// Do not start the prompt with the BOS token. By default the model's metadata decides
    #[arg(long)]
    no_bos: bool,
    /// Continue generating after EOS and other tokens that end a turn
    #[arg(long)]
    ignore_eos: bool,
    /// Skip the untimed warm-up; the timed passes then include the compilation of the kernels
    #[arg(long)]
    pub(crate) no_warmup: bool,
}

impl PromptArgs {
    /// The text of the prompt; `None` where the command line has none.
    ///
    /// # Errors
    /// The file or stdin cannot be read, or is not UTF-8.
    pub(crate) fn text(&self) -> anyhow::Result<Option<String>> {
        let text = text_of(self.prompt.as_deref(), self.file.as_deref())?;
        text.map(|it| if self.escape { unescape(&it) } else { Ok(it) }).transpose()
    }

    /// The prompt's tokens. `expand` may replace parts of its text.
    ///
    /// # Errors
    /// The text cannot be read or encoded, there is nothing to continue, or `expand` fails.
    pub(crate) fn tokens(
        &self,
        tokenizer: &Tokenizer,
        expand: impl FnOnce(String) -> Result<String, UsageError>,
    ) -> anyhow::Result<Vec<Token>> {
        let text = expand(self.text()?.unwrap_or_default())?;
        let encoded =
            if self.no_parse_special { tokenizer.encode(&text)? } else { tokenizer.encode_special(&text)? };
        let bos = self.bos(tokenizer);
        if bos.is_some() && encoded.first().copied() == bos {
            output::note(
                "warning: the prompt begins with BOS and the model adds another, as in llama.cpp; --no-bos leaves it out",
            );
        }
        let tokens: Vec<Token> = bos.into_iter().chain(encoded).collect();
        if tokens.is_empty() {
            return Err(UsageError(
                "nothing to continue: the prompt is empty; set it with -p or -f".to_owned(),
            )
            .into());
        }
        Ok(tokens)
    }

    /// The tokens of a conversation that a chat template rendered. Most templates write BOS, and it is never doubled.
    ///
    /// # Errors
    /// The text cannot be encoded.
    pub(crate) fn chat_tokens(&self, tokenizer: &Tokenizer, text: &str) -> anyhow::Result<Vec<Token>> {
        let encoded = tokenizer.encode_special(text)?;
        let bos = self.bos(tokenizer).filter(|bos| encoded.first() != Some(bos));
        Ok(bos.into_iter().chain(encoded).collect())
    }

    /// The BOS token, where it is added.
    fn bos(&self, tokenizer: &Tokenizer) -> Option<Token> {
        tokenizer.bos().filter(|_| tokenizer.add_bos() && !self.no_bos)
    }

    /// Most tokens to generate; `None` is no limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.n_predict.map_or(Some(N_PREDICT), |n| usize::try_from(n).ok())
    }

    /// The length of a prompt and its continuation.
    pub(crate) fn length(&self, prompt: usize) -> Length {
        self.limit().map_or(Length::Open { prompt }, |n| Length::AtMost(prompt + n))
    }

    /// As [`Self::limit`], for a turn of a chat.
    pub(crate) fn limit_of_turn(&self) -> Option<usize> {
        usize::try_from(self.n_predict?).ok()
    }

    /// Tokens that end the output.
    pub(crate) fn stop(&self, tokenizer: &Tokenizer) -> Vec<Token> {
        if self.ignore_eos { Vec::new() } else { tokenizer.ends() }
    }
}

/// The text of `-p` or `-f`. As in llama.cpp, a line break at the end of a file does not count.
///
/// # Errors
/// The file or stdin cannot be read, or is not UTF-8.
pub(crate) fn text_of(prompt: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let text = match (prompt, file) {
        (Some("-"), _) => stdin()?,
        (Some(text), _) => return Ok(Some(text.to_owned())),
        (None, Some(path)) => read(path)?,
        (None, None) => return Ok(None),
    };
    let whole = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(whole.strip_suffix('\r').unwrap_or(whole).to_owned()))
}

/// The whole text of stdin.
///
/// # Errors
/// Stdin cannot be read, or is not UTF-8.
pub(crate) fn stdin() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("stdin")?;
    utf8(bytes, "stdin")
}

/// The whole text of a file.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let name = path.display().to_string();
    utf8(std::fs::read(path).with_context(|| name.clone())?, &name)
}

fn utf8(bytes: Vec<u8>, name: &str) -> anyhow::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!("{name}: byte {at} is not UTF-8; the input must be UTF-8 text")
    })
}

/// Help of `-e`.
pub(crate) const ESCAPE: &str = r#"Replace escapes in the text: \n, \r, \t, \', \", \\ and \xHH (a byte)"#;

/// Replaces the escapes that llama.cpp knows (`string_process_escapes`). Others stay.
///
/// # Errors
/// The bytes of `\xHH` are not UTF-8.
pub(crate) fn unescape(text: &str) -> anyhow::Result<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (written, used) = if byte == b'\\' { escape(after).unwrap_or((byte, 0)) } else { (byte, 0) };
        out.push(written);
        rest = &after[used..];
    }
    utf8(out, "the text with its escapes replaced")
}

/// The byte of an escape and its length after the backslash.
fn escape(after: &[u8]) -> Option<(u8, usize)> {
    Some(match after.first()? {
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        same @ (b'\'' | b'"' | b'\\') => (*same, 1),
        b'x' => {
            let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
            (u8::try_from(digit(1)? * 16 + digit(2)?).ok()?, 3)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_are_those_of_llama_cpp() {
        for (text, expected) in [
            (r#"a\nb\r\t\'\"\\c"#, "a\nb\r\t'\"\\c"),
            (r"\x41\x4a\x4B\xc3\xa9", "AJKé"),
            (r"\\n", r"\n"),
            (r"\q \x4 \xg1 \x4g \0", r"\q \x4 \xg1 \x4g \0"),
            (r"größer\", r"größer\"),
            ("", ""),
        ] {
            assert_eq!(unescape(text).expect("UTF-8"), expected, "{text}");
        }
        assert!(unescape(r"a\xff").is_err_and(|it| it.to_string().contains("byte 1")));
    }
}
