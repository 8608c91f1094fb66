//! Streams generated tokens to stdout as whole characters, and takes the times of a generation.

use crate::output;
use ridgeline_model::RunTimes;
use ridgeline_speculative::{FinishReason, Token};
use ridgeline_text::{Specials, TextStream, Tokenizer};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Collects generated tokens as text.
pub(crate) struct Printer<'t> {
    stream: TextStream<'t>,
    /// All text so far.
    text: String,
    /// Whether each token is printed at once.
    live: bool,
    start: Instant,
    first: Option<Instant>,
    error: Option<anyhow::Error>,
}

impl<'t> Printer<'t> {
    /// Starts the clock.
    pub(crate) fn start(tokenizer: &'t Tokenizer, live: bool) -> Self {
        let stream = tokenizer.stream(Specials::Hidden);
        Self { stream, text: String::new(), live, start: Instant::now(), first: None, error: None }
    }

    /// Takes a token. Stops the generation if the token cannot be decoded or stdout is closed.
    pub(crate) fn push(&mut self, token: Token) -> ControlFlow<()> {
        self.first.get_or_insert_with(Instant::now);
        let text = match self.stream.push(token) {
            // Padding behind the last token of the vocabulary has no text.
            Err(ridgeline_text::Error::UnknownId { .. }) => Ok(String::new()),
            other => other.map_err(anyhow::Error::from),
        };
        let shown = text.and_then(|text| {
            self.text += &text;
            if self.live { Ok(output::text(&text)?) } else { Ok(()) }
        });
        match shown {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// The whole text and its times since [`Printer::start`]. Call this when the generation ends.
    ///
    /// Without any token, the time to the first token is the time to the end.
    ///
    /// # Errors
    /// The error that stopped [`Printer::push`].
    pub(crate) fn finish(mut self) -> anyhow::Result<Printed> {
        let end = Instant::now();
        if let Some(error) = self.error {
            return Err(error);
        }
        let rest = self.stream.finish();
        self.text += &rest;
        if self.live {
            output::text(&(rest + "\n"))?;
        }
        let first = self.first.unwrap_or(end).duration_since(self.start);
        Ok(Printed { text: self.text, first, end: end.duration_since(self.start) })
    }
}

/// Text and times of a finished generation.
pub(crate) struct Printed {
    pub(crate) text: String,
    /// From the start to the first token.
    pub(crate) first: Duration,
    /// From the start to the end of the generation.
    pub(crate) end: Duration,
}

/// Times of a generation. Rates over zero tokens are `None`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Timings {
    /// Opening, hashing and uploading the model.
    pub(crate) load_ns: u64,
    /// Tokenizing the prompt.
    pub(crate) tokenize_ns: u64,
    /// From the prompt's token ids to the first token.
    pub(crate) prompt_ns: u64,
    /// Time to first token, from the prompt's text: `tokenize_ns` + `prompt_ns`.
    pub(crate) ttft_ns: u64,
    /// From the first token to the end.
    pub(crate) predicted_ns: u64,
    /// Prompt tokens per second of `prompt_ns`.
    pub(crate) prompt_per_second: Option<f64>,
    /// Tokens evaluated per second of `predicted_ns`. The last printed token is not evaluated. Tokens after a stop token,
    /// which are not printed, count.
    pub(crate) predicted_per_second: Option<f64>,
    /// Mean time per evaluated token.
    pub(crate) tpot_ns: Option<f64>,
    /// Host time of uploads and command encoding.
    pub(crate) encode_ns: u64,
    /// Host time of queue submission.
    pub(crate) submit_ns: u64,
    /// Host time of waiting for the device.
    pub(crate) wait_ns: u64,
    /// Number of queue submissions.
    pub(crate) submissions: u32,
}

impl Timings {
    /// The times of a generation that evaluated `evaluated` tokens, including the `prompt` tokens.
    pub(crate) fn of(printed: &Printed, prompt: usize, evaluated: u64) -> Self {
        let rest = printed.end.saturating_sub(printed.first);
        let later = evaluated.saturating_sub(prompt as u64);
        let seconds = rest.as_secs_f64();
        let measured = later > 0 && seconds > 0.0;
        let first = printed.first.as_secs_f64();
        Self {
            prompt_ns: nanos(printed.first),
            ttft_ns: nanos(printed.first),
            predicted_ns: nanos(rest),
            prompt_per_second: (evaluated > 0 && first > 0.0).then(|| prompt as f64 / first),
            predicted_per_second: measured.then(|| later as f64 / seconds),
            tpot_ns: measured.then(|| 1e9 * seconds / later as f64),
            ..Self::default()
        }
    }

    /// Adds the times before the prompt is evaluated.
    pub(crate) fn after(self, load: Duration, tokenize: Duration) -> Self {
        let tokenize_ns = nanos(tokenize);
        Self { load_ns: nanos(load), tokenize_ns, ttft_ns: tokenize_ns + self.prompt_ns, ..self }
    }

    /// Adds the executor's times.
    pub(crate) const fn with(self, times: RunTimes) -> Self {
        Self {
            encode_ns: times.encode_ns,
            submit_ns: times.submit_ns,
            wait_ns: times.wait_ns,
            submissions: times.submissions,
            ..self
        }
    }
}

/// Nanoseconds of a duration.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as `1.23 ms`.
pub(crate) fn ms(ns: u64) -> String {
    format!("{:.2} ms", ns as f64 / 1e6)
}

/// A rate as text, or a dash.
pub(crate) fn rate(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| format!("{it:.2} tokens per second"))
}

/// Says on stderr that a text ended because the cache is full.
pub(crate) fn note_full(finish: FinishReason, context: usize) {
    if finish == FinishReason::ContextFull {
        output::note(&format!("the context of {context} tokens is full; -c sets a larger one"));
    }
}

/// The reason why a generation ended, as in the JSON.
pub(crate) const fn finish_name(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Length => "length",
        FinishReason::Stop(_) => "stop",
        FinishReason::ContextFull => "context",
        FinishReason::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::{Printed, Timings};
    use std::time::Duration;

    #[test]
    fn the_first_token_counts_as_prompt_time() {
        let ms = Duration::from_millis;
        let printed = Printed { text: String::new(), first: ms(50), end: ms(150) };
        let times = Timings::of(&printed, 10, 14).after(ms(7), ms(1));
        assert_eq!((times.load_ns, times.ttft_ns, times.prompt_ns), (7_000_000, 51_000_000, 50_000_000));
        assert_eq!((times.predicted_ns, times.prompt_per_second), (100_000_000, Some(200.0)));
        assert_eq!((times.predicted_per_second, times.tpot_ns), (Some(40.0), Some(25e6)));
        let one = Timings::of(&Printed { end: ms(50), ..printed }, 10, 10);
        assert_eq!((one.predicted_per_second, one.tpot_ns), (None, None), "one token has no rate");
    }
}
