//! Decoding without the host between two tokens: forward passes are submitted before earlier ones have finished.
//!
//! ```text
//! while there is work:
//!     if tokens remain and fewer than two submissions are in flight: record and submit the next forward passes
//!     else: wait for the oldest submission and pass its tokens to the caller
//! ```
//!
//! Each forward pass reads its tokens from [`Temp::Tokens`], one of each sequence, and stores its choices behind them. The last
//! pass of a submission wraps around to index 0, where the next submission begins.

use super::Session;
use super::read_back::words;
use super::record::{Output, PassTokens};
use super::token_table::Segment;
use crate::Error;
use crate::config::dim32;
use crate::ops::Sample;
use crate::scratch::{MAX_AHEAD, Temp, pass_stride};
use ridgeline_compute::{Executor, InFlight, RunOutput, Timing};
use ridgeline_speculative::{OnTokens, Token};
use std::collections::VecDeque;
use std::iter::once;

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

/// One generation of `n` tokens of each of some sequences on the device.
struct DecodeAhead<'a, E: Executor> {
    session: &'a mut Session<E>,
    sample: &'a dyn Fn(usize) -> Option<Sample>,
    /// The tokens that are submitted next, one of each sequence.
    segments: Vec<Segment>,
    n: usize,
    submitted: usize,
    /// The first tokens of the oldest submission in flight, one of each sequence.
    next: Vec<Token>,
    /// Submissions with their numbers of forward passes, oldest first.
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
                for segment in &self.segments {
                    self.session.sequences[segment.sequence].history.settle();
                }
                return Ok(());
            }
        }
    }

    fn can_submit(&self) -> bool {
        // The first submission is one forward pass, run alone to learn how long it takes.
        let ahead = self.session.pipelined && self.session.pass_ns(self.segments.len()).is_some();
        let most = if ahead { MAX_IN_FLIGHT } else { 1 };
        self.state == State::Submitting && self.in_flight.len() < most
    }

    fn submit_next(&mut self) {
        let (session, submitted) = (&mut *self.session, self.submitted);
        let n = session.passes_per_submission(self.segments.len()).min(self.n - submitted);
        session.record_decode(&self.segments, n, &|i| (self.sample)(submitted + i));
        let started = session.executor.borrow_mut().start_with(&session.recording, session.run);
        session.recording.clear();
        match started {
            Ok(started) => {
                self.in_flight.push_back((started, n));
                self.submitted += n;
                self.segments.iter_mut().for_each(|segment| segment.position += n);
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
        let count = self.segments.len();
        session.times.add(&timing, (n * count) as u64);
        session.update_pass_time(&timing, n, count);
        let read: Vec<Token> = reads.iter().flat_map(|bytes| words(bytes)).collect();
        let mut picks: Vec<Token> =
            read.chunks(pass_stride(count)).flat_map(|pass| &pass[..count]).copied().collect();
        // The last choices were stored at index 0.
        picks.rotate_left(count);
        for (i, segment) in self.segments.iter().enumerate() {
            let chosen = picks.iter().copied().skip(i).step_by(count);
            session.sequences[segment.sequence].append(once(self.next[i]).chain(chosen).take(n), n);
        }
        self.next = picks[(n - 1) * count..].to_vec();
        if self.state != State::Discarding && on_tokens(&picks).is_break() {
            self.state = State::Discarding;
        }
        Ok(())
    }
}

impl<E: Executor> Session<E> {
    /// Appends a token to each of some sequences and then the device's own choices, `n` tokens in all. Choice `i` is greedy
    /// where `sample(i)` is `None`. The callback receives the choices of one or more forward passes, pass by pass.
    pub(super) fn decode_on_device(
        &mut self,
        (segments, tokens): (&[Segment], &[Token]),
        n: usize,
        sample: &dyn Fn(usize) -> Option<Sample>,
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<(), Error> {
        let appended: Vec<(usize, usize)> = segments.iter().map(|it| (it.sequence, n)).collect();
        self.begin_append(&appended)?;
        self.start_recording(tokens);
        let state = if n == 0 { State::Draining } else { State::Submitting };
        let in_flight = VecDeque::new();
        DecodeAhead {
            session: self,
            sample,
            segments: segments.to_vec(),
            n,
            submitted: 0,
            next: tokens.to_vec(),
            in_flight,
            state,
            failure: None,
        }
        .run(on_tokens)
    }

    /// Nanoseconds of a forward pass that decodes `sequences` sequences. `None` if the newest had another number of them.
    fn pass_ns(&self, sequences: usize) -> Option<u64> {
        self.pass_ns.filter(|known| known.0 == sequences).map(|known| known.1)
    }

    /// The number of forward passes that take [`MAX_SUBMISSION_NS`]. One while the time of a pass is unknown, or if decoding
    /// is not pipelined.
    fn passes_per_submission(&self, sequences: usize) -> usize {
        if !self.pipelined {
            return 1;
        }
        let fits = |ns: u64| usize::try_from(MAX_SUBMISSION_NS / ns.max(1)).unwrap_or(MAX_AHEAD);
        self.pass_ns(sequences).map_or(1, fits).clamp(1, MAX_AHEAD)
    }

    /// Updates the time of a forward pass. When the host was busy elsewhere, the measured time is too short. It can
    /// then only raise the estimate.
    fn update_pass_time(&mut self, timing: &Timing, passes: usize, sequences: usize) {
        let seen = timing.total_ns() / passes as u64;
        let waited = 2 * timing.wait_ns >= timing.total_ns();
        let ns = self.pass_ns(sequences).filter(|_| !waited).map_or(seen, |known| known.max(seen));
        self.pass_ns = Some((sequences, ns));
    }

    /// Records `n` forward passes, and reads back their choices. The first has the tokens `segments`, one of each sequence.
    /// Pass `i` reads its ids at index `i · stride` of [`Temp::Tokens`] and stores its choices at index `(i + 1) % n · stride`.
    fn record_decode(&mut self, segments: &[Segment], n: usize, sample: &dyn Fn(usize) -> Option<Sample>) {
        let (mut segments, stride) = (segments.to_vec(), pass_stride(segments.len()));
        for pass in 0..n {
            let next = Output::Next(dim32((pass + 1) % n * stride), sample(pass));
            let tokens = PassTokens { first: pass * stride, segments: &segments };
            self.record_forward(tokens, segments.len(), next);
            segments.iter_mut().for_each(|segment| segment.position += 1);
        }
        self.recording.read_back(self.scratch.buffer(Temp::Tokens).all().head(4 * (n * stride) as u64));
    }
}
