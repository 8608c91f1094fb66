//! Chat templates: messages to the text format of a model's training, in the Jinja dialect of model files.
//!
//! The environment is that of `apply_chat_template` in
//! <https://huggingface.co/docs/transformers/chat_templating>: `trim_blocks`, `lstrip_blocks`,
//! `raise_exception`, `tojson` and Python's string methods. `strftime_now` exists only after [`ChatTemplate::at`].
//! Templates that use it have a fixed date as fallback, which keeps prompts reproducible.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, context};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::{DateTime, Error};

/// The name of the only template of an environment.
const NAME: &str = "chat_template";

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text of the message.
    pub content: String,
    /// Images before the text. Only a template that reads parts of a message writes them
    /// ([`ChatTemplate::reads_parts`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub images: usize,
}

const fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Message {
    /// A message of `role`.
    #[must_use]
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), images: 0 }
    }

    /// The same message with `images` images before its text.
    #[must_use]
    pub fn with_images(self, images: usize) -> Self {
        Self { images, ..self }
    }
}

/// A compiled chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    file: String,
    source: String,
    bos: String,
    eos: String,
    /// The environment with the template, or its syntax error. The error appears on use, so that a model with a
    /// broken template still works without chat.
    environment: Result<Environment<'static>, String>,
    reads_parts: bool,
}

impl ChatTemplate {
    /// Compiles a template. `file` is for errors; `bos` and `eos` are the texts of these tokens, empty
    /// if the model has none.
    #[must_use]
    pub fn new(source: &str, file: &str, bos: &str, eos: &str) -> Self {
        let mut template = Self {
            file: file.to_owned(),
            source: source.to_owned(),
            bos: bos.to_owned(),
            eos: eos.to_owned(),
            environment: environment(source).map_err(|error| describe(&error)),
            reads_parts: false,
        };
        // A template that reads parts loses a text that is none, without an error.
        let sample = Message::new("user", "sample of a text");
        let keeps = |parts| {
            let rendered = template.render_as(parts, std::slice::from_ref(&sample), false);
            rendered.is_ok_and(|it| it.contains(&sample.content))
        };
        template.reads_parts = !keeps(false) && keeps(true);
        template
    }

    /// Whether the content of a message is a list of parts, as in templates of models that see images. Otherwise it is a text.
    #[must_use]
    pub const fn reads_parts(&self) -> bool {
        self.reads_parts
    }

    /// Makes `strftime_now` available to the template; it formats this time.
    #[must_use]
    pub fn at(mut self, now: DateTime) -> Self {
        if let Ok(environment) = &mut self.environment {
            environment.add_function("strftime_now", move |format: &str| {
                let unknown = || format!("strftime_now cannot format {format:?}");
                now.strftime(format)
                    .ok_or_else(|| minijinja::Error::new(ErrorKind::InvalidOperation, unknown()))
            });
        }
        self
    }

    /// The source of the template.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of a conversation; `add_generation_prompt` appends the header of the assistant's turn.
    /// Encode the text with [`crate::Tokenizer::encode_special`].
    ///
    /// # Errors
    /// [`Error::TemplateSyntax`] if the template does not parse, [`Error::TemplateRender`] if it rejects the
    /// messages (for example an unknown role) or fails.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String, Error> {
        self.render_as(self.reads_parts, messages, add_generation_prompt)
    }

    fn render_as(
        &self,
        parts: bool,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        let environment = self
            .environment
            .as_ref()
            .map_err(|detail| Error::TemplateSyntax { file: self.file.clone(), detail: detail.clone() })?;
        let values = context! {
            messages => messages.iter().map(|it| as_value(it, parts)).collect::<Vec<_>>(),
            add_generation_prompt,
            bos_token => &self.bos,
            eos_token => &self.eos,
            tools => Value::from(()),
            documents => Value::from(()),
        };
        environment
            .get_template(NAME)
            .and_then(|template| template.render(values))
            .map_err(|error| Error::TemplateRender { file: self.file.clone(), detail: describe(&error) })
    }
}

/// A message as a mapping, for `message.role` and `message['role']`. Its content is a text, or a list of `parts`.
fn as_value(message: &Message, parts: bool) -> Value {
    let content = if parts {
        let image = || Value::from_pairs([("type", "image")]);
        let text = Value::from_pairs([("type", "text"), ("text", message.content.as_str())]);
        (0..message.images).map(|_| image()).chain([text]).collect()
    } else {
        Value::from(message.content.as_str())
    };
    Value::from_pairs([("role", Value::from(message.role.as_str())), ("content", content)])
}

fn environment(source: &str) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |reason: &str| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason.to_owned()))
    });
    environment.add_filter("tojson", to_json);
    environment.add_template_owned(NAME, without_generation_blocks(source))?;
    Ok(environment)
}

/// `{% generation %}` marks the assistant's text for training. Here it becomes `{% if true %}`.
fn without_generation_blocks(source: &str) -> String {
    static OPEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\{%([-+]?)\s*generation\s*([-+]?)%\}").expect("the expression is valid")
    });
    static CLOSE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\{%([-+]?)\s*endgeneration\s*([-+]?)%\}").expect("the expression is valid")
    });
    let opened = OPEN.replace_all(source, "{%$1 if true $2%}");
    CLOSE.replace_all(&opened, "{%$1 endif $2%}").into_owned()
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`, which unlike Jinja's own filter does not
/// escape HTML. Other arguments are ignored.
fn to_json(value: &Value, _ignored: Rest<Value>, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    let failed =
        |error: serde_json::Error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string());
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let spaces = vec![b' '; width.min(16)];
            let formatter = PrettyFormatter::with_indent(&spaces);
            value
                .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
                .map_err(failed)?;
        }
        None => {
            value
                .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, PythonFormatter))
                .map_err(failed)?;
        }
    }
    String::from_utf8(bytes)
        .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// JSON on one line with a space after `,` and `:`.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// The message of an error, with its line.
fn describe(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}
