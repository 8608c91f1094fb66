//! Decoding without the host between two tokens: forward passes are submitted before earlier ones have finished.
//!
//! ```text
//! while there is work:
//!     if tokens remain and fewer than two submissions are in flight: record and submit the next forward passes
//!     else: wait for the oldest submission and pass its tokens to the caller
//! ```
//!
//! Each forward pass reads its token from [`Temp::Tokens`] and stores its choice at the next index. The last pass of
//! a submission wraps around to index 0, where the next submission begins.

use super::Session;
use super::read_back::words;
use super::record::{Output, TokenRange};
use crate::Error;
use crate::config::dim32;
use crate::ops::Sample;
use crate::scratch::{MAX_AHEAD, Temp};
use ridgeline_compute::{Executor, InFlight, RunOutput, Timing};
use ridgeline_speculative::{OnTokens, Token};
use std::collections::VecDeque;

/// Most submissions in flight: one that runs, and one for the device to start when it ends.
const MAX_IN_FLIGHT: usize = 2;

/// Target duration of a submission, in nanoseconds. Text should keep flowing, and some systems reset a GPU
/// that is busy for seconds.
const MAX_SUBMISSION_NS: u64 = 50_000_000;

/// What a [`DecodeAhead`] still has to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Tokens remain to be submitted.
    Submitting,
    /// Nothing more is submitted: all tokens are, or a submission failed. Tokens in flight still go to the caller.
    Draining,
    /// The caller broke off. Tokens in flight stay in the cache and are dropped.
    Discarding,
}

/// One generation of `n` tokens on the device.
struct DecodeAhead<'a, E: Executor> {
    session: &'a mut Session<E>,
    sample: &'a dyn Fn(usize) -> Option<Sample>,
    /// Position of the first token.
    start: usize,
    n: usize,
    submitted: usize,
    /// The first token of the oldest submission in flight.
    next: Token,
    /// Submissions with their numbers of tokens, oldest first.
    in_flight: VecDeque<(InFlight, usize)>,
    state: State,
    /// The error of the submission that failed.
    failure: Option<ridgeline_compute::Error>,
}

impl<E: Executor> DecodeAhead<'_, E> {
    fn run(mut self, on_tokens: &mut OnTokens<'_>) -> Result<(), Error> {
        loop {
            if self.can_submit() {
                self.submit_next();
            } else if let Some((oldest, n)) = self.in_flight.pop_front() {
                self.wait_for(oldest, n, on_tokens)?;
            } else if let Some(error) = self.failure {
                return Err(error.into());
            } else {
                self.session.history.settle();
                return Ok(());
            }
        }
    }

    fn can_submit(&self) -> bool {
        // The first submission of a session is one token, run alone to learn how long a token takes.
        let ahead = self.session.pipelined && self.session.token_ns.is_some();
        let most = if ahead { MAX_IN_FLIGHT } else { 1 };
        self.state == State::Submitting && self.in_flight.len() < most
    }

    fn submit_next(&mut self) {
        let (session, submitted) = (&mut *self.session, self.submitted);
        let n = session.tokens_per_submission().min(self.n - submitted);
        session.record_decode(self.start + submitted, n, &|i| (self.sample)(submitted + i));
        let started = session.executor.borrow_mut().start_with(&session.recording, session.run);
        session.recording.clear();
        match started {
            Ok(started) => {
                self.in_flight.push_back((started, n));
                self.submitted += n;
            }
            Err(error) => self.failure = Some(error),
        }
        if self.failure.is_some() || self.submitted == self.n {
            self.state = State::Draining;
        }
    }

    fn wait_for(&mut self, oldest: InFlight, n: usize, on_tokens: &mut OnTokens<'_>) -> Result<(), Error> {
        let session = &mut *self.session;
        let RunOutput { mut timing, reads } = session.executor.borrow_mut().finish(oldest)?;
        if !self.in_flight.is_empty() {
            // Meanwhile the device ran the next submission, so no time was lost.
            timing.stamps_ns = 0;
        }
        session.times.add(&timing, n as u64);
        session.update_token_time(&timing, n);
        session.len += n;
        let mut picks: Vec<Token> = reads.iter().flat_map(|bytes| words(bytes)).collect();
        // The last choice was stored at index 0.
        picks.rotate_left(1);
        session.history.append(&[self.next]);
        session.history.append(&picks[..n - 1]);
        self.next = picks[n - 1];
        if self.state != State::Discarding && on_tokens(&picks).is_break() {
            self.state = State::Discarding;
        }
        Ok(())
    }
}

impl<E: Executor> Session<E> {
    /// Appends `token` and then the device's own choices, `n` tokens in all. Choice `i` is greedy where `sample(i)`
    /// is `None`.
    pub(super) fn decode_on_device(
        &mut self,
        token: Token,
        n: usize,
        sample: &dyn Fn(usize) -> Option<Sample>,
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<(), Error> {
        self.begin_append(n)?;
        self.start_recording(&[token]);
        let start = self.len;
        let state = if n == 0 { State::Draining } else { State::Submitting };
        let in_flight = VecDeque::new();
        DecodeAhead {
            session: self,
            sample,
            start,
            n,
            submitted: 0,
            next: token,
            in_flight,
            state,
            failure: None,
        }
        .run(on_tokens)
    }

    /// The number of tokens that take [`MAX_SUBMISSION_NS`]. One while the time per token is unknown, or if decoding is
    /// not pipelined.
    fn tokens_per_submission(&self) -> usize {
        if !self.pipelined {
            return 1;
        }
        let fits = |ns: u64| usize::try_from(MAX_SUBMISSION_NS / ns.max(1)).unwrap_or(MAX_AHEAD);
        self.token_ns.map_or(1, fits).clamp(1, MAX_AHEAD)
    }

    /// Updates the time per token. When the host was busy elsewhere, the measured time is too short. It can
    /// then only raise the estimate.
    fn update_token_time(&mut self, timing: &Timing, tokens: usize) {
        let seen = timing.total_ns() / tokens as u64;
        let waited = 2 * timing.wait_ns >= timing.total_ns();
        self.token_ns = match self.token_ns {
            Some(known) if !waited => Some(known.max(seen)),
            _ => Some(seen),
        };
    }

    /// Records `n` forward passes of one token each from `position` on, and reads back their choices. Pass `i` reads
    /// index `i` of [`Temp::Tokens`] and stores its choice at index `(i + 1) % n`.
    fn record_decode(&mut self, position: usize, n: usize, sample: &dyn Fn(usize) -> Option<Sample>) {
        for first in 0..n {
            let next = Output::Next(dim32((first + 1) % n), sample(first));
            self.record_forward(TokenRange { first, n: 1, position: position + first }, 1, next);
        }
        self.recording.read_back(self.scratch.buffer(Temp::Tokens).all().head(4 * n as u64));
    }
}
