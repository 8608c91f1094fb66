//! Tokens that the device chooses by itself, several to a submission, and the next submission while one runs.

use super::{Output, Session, TokenRange, narrow, words};
use crate::Error;
use crate::ops::Sample;
use crate::scratch::Temp;
use ridgeline_compute::{Executor, RunOutput, Timing};
use ridgeline_speculative::{OnTokens, Token};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Most tokens that are generated without the host in between.
pub(crate) const MAX_AHEAD: usize = 16;

/// Submissions under way at a time: one that the device works at, and one for when it is done.
const MAX_IN_FLIGHT: usize = 2;

/// For how long, at most, the host is left without a word: text should still flow, and a device that runs one piece of
/// work for seconds is taken for hung by some systems.
const AHEAD_NS: u64 = 50_000_000;

impl<E: Executor> Session<E> {
    /// Tokens that had best share a submission.
    fn ahead(&self) -> usize {
        let fits = |ns: u64| usize::try_from(AHEAD_NS / ns.max(1)).unwrap_or(MAX_AHEAD);
        self.token_ns.map_or(1, fits).clamp(1, MAX_AHEAD)
    }

    /// Appends `token` and the device's own choices, `n` in all: while it works at some, the next are recorded and
    /// submitted, and what came of the last is handed over.
    pub(super) fn chain(
        &mut self,
        token: Token,
        n: usize,
        sample: &dyn Fn(usize) -> Option<Sample>,
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<(), Error> {
        let first = self.len;
        let (mut submitted, mut in_flight) = (0, VecDeque::new());
        let (mut flow, mut failed) = (ControlFlow::Continue(()), None);
        self.begin(&[token]);
        while submitted < n && flow.is_continue() || !in_flight.is_empty() {
            // How many share a submission is known after the first.
            let most = if self.token_ns.is_some() { MAX_IN_FLIGHT } else { 1 };
            if submitted < n && flow.is_continue() && in_flight.len() < most {
                let ahead = self.ahead().min(n - submitted);
                self.record_ahead(first + submitted, ahead, &|i| sample(submitted + i));
                let started = self.executor.borrow_mut().start(&self.recording);
                self.recording.clear();
                match started {
                    Ok(started) => {
                        in_flight.push_back((started, ahead));
                        submitted += ahead;
                    }
                    // What is under way is still handed over.
                    Err(error) => {
                        failed = Some(error);
                        submitted = n;
                    }
                }
                continue;
            }
            let Some((started, ahead)) = in_flight.pop_front() else { break };
            let RunOutput { timing, reads } = self.executor.borrow_mut().finish(started)?;
            self.times.add(&timing, ahead as u64);
            self.update_token_time(&timing, ahead);
            self.len += ahead;
            if flow.is_continue() {
                let mut picks: Vec<Token> = reads.iter().flat_map(|bytes| words(bytes)).collect();
                picks.rotate_left(1);
                flow = on_tokens(&picks);
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// How long a token takes. Where the host was busy with something else meanwhile, its wait says too little.
    fn update_token_time(&mut self, timing: &Timing, tokens: usize) {
        let seen = timing.total_ns() / tokens as u64;
        let waited = 2 * timing.wait_ns >= timing.total_ns();
        self.token_ns = match self.token_ns {
            Some(known) if !waited => Some(known.max(seen)),
            _ => Some(seen),
        };
    }

    /// Records `n` passes from a position on, of which each appends the choice of the one before, and the first what is
    /// the first of the tokens' buffer: there the last choice goes, for whoever comes next. Reads back the choices, the last
    /// of them first.
    fn record_ahead(&mut self, position: usize, n: usize, sample: &dyn Fn(usize) -> Option<Sample>) {
        for first in 0..n {
            let next = Output::Next(narrow((first + 1) % n), sample(first));
            self.record_forward(TokenRange { first, n: 1, position: position + first }, 1, next);
        }
        self.recording.read_back(self.scratch.buffer(Temp::Tokens).all().head(4 * n as u64));
    }
}
