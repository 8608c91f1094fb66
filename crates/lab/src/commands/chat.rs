//! A chat in turns, by the chat template of the model: `run --chat`.
//!
//! ```text
//! for each message of the user:  render the whole conversation, and encode it
//!     keep the tokens in the cache with which it begins, evaluate the rest, generate until the turn ends
//! ```

use super::flags::{Length, require_finite, vocabulary_of, warm_up};
use super::images::{Encoded, Images};
use super::printer::{Printer, Timings, finish_name, note_full, rate};
use super::prompt::unescape;
use super::run::Args;
use crate::globals::UsageError;
use crate::output;
use anyhow::Context;
use ridgeline_measure::Device;
use ridgeline_measure::models::Loaded;
use ridgeline_model::{Session, SessionOptions, Shared};
use ridgeline_speculative::{Generation, LanguageModel, Sampler, Token, generate_after};
use ridgeline_text::{ChatTemplate, Message, Tokenizer};
use serde_json::{Value, json};
use std::io::{IsTerminal, stdin};
use std::process::ExitCode;

/// A conversation in place of one text.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Chat")]
pub(crate) struct ChatArgs {
    /// Chat by the model's template (also -cnv). -p is the first message of the user, and each line of stdin another; a line
    /// that ends in \ continues on the next. The chat ends with stdin
    #[arg(long, visible_alias = "conversation")]
    chat: bool,
    /// The system message of a chat (also -sys)
    #[arg(long, alias = "system-prompt", value_name = "TEXT", requires = "chat", allow_hyphen_values = true)]
    system: Option<String>,
    /// End the chat after one turn (also -st)
    #[arg(long, requires = "chat")]
    single_turn: bool,
    /// No chat, which is the default (also -no-cnv)
    #[arg(long, alias = "no-conversation", conflicts_with = "chat", hide = true)]
    no_chat: bool,
}

impl ChatArgs {
    /// Whether there is a chat.
    pub(crate) const fn is_on(&self) -> bool {
        self.chat
    }
}

/// Chats until stdin ends.
///
/// # Errors
/// The model has no chat template, there is no message, the conversation does not fit the context, or the model fails.
pub(crate) fn run(
    args: &Args,
    loaded: &Loaded,
    (device, images): (Shared<Device>, Option<Images>),
    sampler: Sampler,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let tokenizer = vocabulary_of(loaded)?;
    let name = &loaded.id.name;
    let template = tokenizer.chat_template().ok_or_else(|| {
        UsageError(format!(
            "{name} has no chat template: write its special tokens in a prompt without --chat"
        ))
    })?;
    let mut messages = Vec::new();
    if let Some(system) = &args.chat.system {
        let text = if args.prompt.escape { unescape(system)? } else { system.clone() };
        messages.push(Message::new("system", text));
    }
    let length = Length::Open { prompt: 0 };
    let options = args.session.options(length, loaded.model.config.trained_context)?;
    let session = Session::new(loaded.model.clone(), device, options)?;
    let stop = args.prompt.stop(tokenizer);
    let mut chat = Chat {
        args,
        tokenizer,
        template,
        session,
        options,
        sampler,
        stop,
        json,
        messages,
        images,
        encoded: None,
        cached: Vec::new(),
        turns: Vec::new(),
    };
    chat.talk()?;
    if json {
        let mut json = json!({
            "model": serde_json::to_value(&loaded.id)?, "seed": sampler.seed,
            "messages": serde_json::to_value(&chat.messages)?, "turns": chat.turns,
        });
        if let Some(encoded) = chat.encoded {
            json["images"] = serde_json::to_value(encoded)?;
        }
        output::json(&json)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The state of a chat.
struct Chat<'a> {
    args: &'a Args,
    tokenizer: &'a Tokenizer,
    template: &'a ChatTemplate,
    session: Session<Device>,
    options: SessionOptions,
    sampler: Sampler,
    stop: Vec<Token>,
    json: bool,
    messages: Vec<Message>,
    /// The images of the first message of the user.
    images: Option<Images>,
    /// What became of them, after the first turn.
    encoded: Option<Encoded>,
    /// The tokens in the session's cache.
    cached: Vec<Token>,
    /// The JSON of each turn.
    turns: Vec<Value>,
}

impl Chat<'_> {
    /// All turns.
    fn talk(&mut self) -> anyhow::Result<()> {
        let mut first = self.args.prompt.text()?.filter(|it| !it.trim().is_empty());
        while let Some(text) = first.take().map_or_else(|| self.message(), |it| Ok(Some(it)))? {
            self.turn(text)?;
            if self.args.chat.single_turn {
                break;
            }
        }
        if self.turns.is_empty() {
            let text = "nothing to answer: write a message with -p, or lines on stdin";
            return Err(UsageError(text.to_owned()).into());
        }
        require_finite(&mut self.session, &self.cached)
    }

    /// The next message on stdin; `None` at its end. Empty lines are skipped.
    fn message(&self) -> anyhow::Result<Option<String>> {
        let mut message = String::new();
        loop {
            if stdin().is_terminal() {
                output::ask(if message.is_empty() { "> " } else { "" });
            }
            let mut line = String::new();
            let read = stdin().read_line(&mut line).context("stdin")?;
            let line = line.trim_end_matches(['\r', '\n']);
            let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |it| (it, read > 0));
            message += line;
            if goes_on {
                message.push('\n');
            } else if !message.trim().is_empty() {
                return if self.args.prompt.escape { unescape(&message) } else { Ok(message) }.map(Some);
            } else if read == 0 {
                return Ok(None);
            } else {
                message.clear();
            }
        }
    }

    /// One message of the user and its answer.
    fn turn(&mut self, text: String) -> anyhow::Result<()> {
        let message = match self.images.as_ref().filter(|_| self.turns.is_empty()) {
            Some(images) => images.message(text, self.template)?,
            None => Message::new("user", text),
        };
        self.messages.push(message);
        let mut rendered = self.template.render(&self.messages, true)?;
        if let Some(images) = &self.images {
            rendered = images.expand(&rendered)?;
        }
        let prompt = self.args.prompt.chat_tokens(self.tokenizer, &rendered)?;
        let (needed, context) = (prompt.len(), self.options.context);
        if needed > context {
            anyhow::bail!(
                "the conversation has {needed} tokens, and the context {context}; -c sets a larger one"
            );
        }
        if self.turns.is_empty() && !self.args.prompt.no_warmup {
            warm_up(&mut self.session, &self.options, &[needed, 1], &self.sampler)?;
        }
        if let Some(images) = self.images.as_ref().filter(|_| self.encoded.is_none()) {
            self.encoded = Some(images.give(&mut self.session, self.tokenizer, &prompt)?);
        }
        let shared = shared_prefix(&self.cached, &prompt).min(needed.saturating_sub(1));
        // A model with recurrent layers cannot return to a prefix: it evaluates the whole conversation.
        let cached = if self.session.truncate(shared).is_ok() { shared } else { 0 };
        // Without a limit the context ends the text.
        let n = self.args.prompt.limit_of_turn().unwrap_or(context + 1);
        // Another seed for each turn, or equal questions would meet equal random numbers.
        let sampler =
            Sampler { seed: self.sampler.seed.wrapping_add(self.turns.len() as u64), ..self.sampler };
        self.session.take_times();
        let mut printer = Printer::start(self.tokenizer, !self.json);
        let on_token = &mut |token| printer.push(token);
        let output = generate_after(&mut self.session, cached, &sampler, &prompt, n, &self.stop, on_token)?;
        let printed = printer.finish()?;
        note_full(output.finish, context);
        let spent = self.session.take_times();
        let times = Timings::of(&printed, needed - cached, spent.tokens).with(spent);
        let Generation { tokens, finish } = output;
        self.cached = [&prompt[..], &tokens].concat();
        self.cached.truncate(self.session.len());
        let (read, made) = (needed - cached, tokens.len());
        if !self.json {
            let rates = [rate(times.prompt_per_second), rate(times.predicted_per_second)];
            output::note(&format!(
                "[ {cached} tokens cached | prompt {read}, {} | answer {made}, {} ]",
                rates[0], rates[1]
            ));
        }
        self.turns.push(json!({
            "prompt_tokens": prompt, "cached": cached, "text": printed.text, "tokens": tokens,
            "finish": finish_name(finish), "timings": serde_json::to_value(times)?,
        }));
        self.messages.push(Message::new("assistant", printed.text));
        Ok(())
    }
}

/// The number of tokens with which both begin.
fn shared_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::shared_prefix;

    #[test]
    fn the_shared_prefix_ends_at_the_first_difference() {
        assert_eq!(shared_prefix(&[1, 2, 3], &[1, 2, 4, 3]), 2);
        assert_eq!(shared_prefix(&[1, 2], &[1, 2, 4]), 2);
        assert_eq!(shared_prefix(&[], &[1]), 0);
    }
}
