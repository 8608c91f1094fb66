//! Generated tokens as they come: text to stdout, never half a character, and the moment of each for the timings.

use crate::output;
use ridgeline_model::RunTimes;
use ridgeline_speculative::{FinishReason, Token};
use ridgeline_text::{Specials, TextStream, Tokenizer};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What becomes of tokens.
pub(crate) struct Printer<'t> {
    stream: TextStream<'t>,
    /// Everything so far.
    text: String,
    /// Whether text goes to stdout as it comes.
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

    /// Takes a token; breaks off where its text cannot be had or nobody reads it.
    pub(crate) fn push(&mut self, token: Token) -> ControlFlow<()> {
        self.first.get_or_insert_with(Instant::now);
        let shown = self.stream.push(token).map_err(anyhow::Error::from).and_then(|text| {
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

    /// The whole text, and the times from [`Printer::start`] to the first token and to now, when the generation has ended:
    /// to now both where the first choice was to stop.
    ///
    /// # Errors
    /// Why [`Printer::push`] broke off.
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

/// A finished text.
pub(crate) struct Printed {
    pub(crate) text: String,
    /// From the start to the first token.
    pub(crate) first: Duration,
    /// From the start to the end of the generation.
    pub(crate) end: Duration,
}

/// Where the time of a generation went. A rate is missing where nothing was done.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Timings {
    /// Opening, hashing and uploading the model.
    pub(crate) load_ns: u64,
    /// Text to ids.
    pub(crate) tokenize_ns: u64,
    /// From the prompt's ids to the first token.
    pub(crate) prompt_ns: u64,
    /// From the prompt's text to the first token: `tokenize_ns` + `prompt_ns`.
    pub(crate) ttft_ns: u64,
    /// From the first token to the end.
    pub(crate) predicted_ns: u64,
    /// Prompt tokens per second of `prompt_ns`.
    pub(crate) prompt_per_second: Option<f64>,
    /// Tokens evaluated in that time per second of it: those that were printed, but for the last, and with a stop token
    /// those that nobody saw.
    pub(crate) predicted_per_second: Option<f64>,
    /// Mean time of one of them.
    pub(crate) tpot_ns: Option<f64>,
    /// Host time in uploads and encoding.
    pub(crate) encode_ns: u64,
    /// Host time in submitting.
    pub(crate) submit_ns: u64,
    /// Waiting for the device.
    pub(crate) wait_ns: u64,
    /// Submissions made.
    pub(crate) submissions: u32,
}

impl Timings {
    /// The times of a text for which `evaluated` tokens were evaluated, `prompt` of them the prompt's.
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

    /// Adds what happened before the prompt.
    pub(crate) fn after(self, load: Duration, tokenize: Duration) -> Self {
        let tokenize_ns = nanos(tokenize);
        Self { load_ns: nanos(load), tokenize_ns, ttft_ns: tokenize_ns + self.prompt_ns, ..self }
    }

    /// Adds where the executor's time went.
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

/// Nanoseconds of a duration that is not centuries long.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `1.234 ms` from nanoseconds.
pub(crate) fn ms(ns: u64) -> String {
    format!("{:.2} ms", ns as f64 / 1e6)
}

/// A rate for people; a dash where there is none.
pub(crate) fn rate(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| format!("{it:.2} tokens per second"))
}

/// Why a generation ended, for JSON.
pub(crate) const fn finish_name(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Length => "length",
        FinishReason::Stop(_) => "stop",
        FinishReason::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::{Printed, Timings};
    use std::time::Duration;

    #[test]
    fn rates_leave_the_first_token_to_the_prompt() {
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
