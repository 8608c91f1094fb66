//! Rewinding a sequence. The others do not change. Attention forgets positions for free. A recurrent state is overwritten by every token:
//!
//! ```text
//! before a call that appends several tokens: snapshot the states, unless one is pinned
//! truncate to len: restore the newest snapshot of at most len tokens, or zeros; append the tokens up to len again
//! ```
//!
//! Whatever ends with an error leaves states that are not known. The session then refuses to go on until a truncation
//! has restored them.

use super::record::Output;
use super::{Sequence, Session};
use crate::Error;
use crate::cache::KvCache;
use crate::config::dim32;
use ridgeline_compute::{Buffer, Executor, Recording, Role, Slice};
use ridgeline_kernels::copy::{self, Copy};
use ridgeline_speculative::{Rows, Token};

/// Snapshots kept. Speculation rewinds to the last call; the other one is for a caller that rewinds further.
const SNAPSHOTS: usize = 2;

/// The states of the recurrent layers after some tokens of a sequence.
#[derive(Debug)]
struct Snapshot {
    /// Number of tokens; `None` before the first use.
    len: Option<usize>,
    states: Vec<Buffer>,
}

/// What the recurrent states hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// The state after the tokens of the sequence.
    Exact,
    /// Anything: [`Session::set_kv_len`] moved the sequence. Logits mean nothing.
    Meaningless,
    /// The state after an unknown part of a call.
    Unknown,
}

/// History of the recurrent states of a sequence. It is empty for models without recurrent layers.
#[derive(Debug)]
pub(super) struct History {
    recurrent: bool,
    /// The tokens of the sequence, up to the first unknown one.
    tokens: Vec<Token>,
    snapshots: Vec<Snapshot>,
    /// Whether calls take no further snapshots.
    pinned: bool,
    contents: Contents,
}

impl History {
    /// Allocates the snapshots of a sequence's recurrent states.
    pub(super) fn new(executor: &mut dyn Executor, cache: &KvCache, sequence: usize) -> Result<Self, Error> {
        let mut snapshot = || {
            let states = cache.recurrent_states(sequence);
            let copies = states.map(|state| executor.alloc(state.bytes, Role::Kv, "snapshot of a state"));
            Ok(Snapshot { len: None, states: copies.collect::<Result<_, ridgeline_compute::Error>>()? })
        };
        let recurrent = cache.recurrent_states(sequence).next().is_some();
        let count = if recurrent { SNAPSHOTS } else { 0 };
        let snapshots = (0..count).map(|_| snapshot()).collect::<Result<_, Error>>()?;
        let (tokens, contents) = (Vec::new(), Contents::Exact);
        Ok(Self { recurrent, tokens, snapshots, pinned: false, contents })
    }

    /// The caller moved the sequence without tokens.
    pub(super) fn moved(&mut self) {
        if self.recurrent {
            self.contents = Contents::Meaningless;
        }
    }

    /// The sequence has these tokens more.
    pub(super) fn append(&mut self, tokens: impl IntoIterator<Item = Token>) {
        if self.recurrent && self.contents != Contents::Meaningless {
            self.tokens.extend(tokens);
        }
    }

    /// Whether a call that appends `n` tokens to the `len` of the sequence should take a snapshot first.
    fn wants_snapshot(&self, len: usize, n: usize) -> bool {
        let known = self.snapshots.iter().any(|it| it.len == Some(len));
        // The state of no tokens is zero, and a single token is cheap to append again.
        let exact = self.recurrent && self.contents == Contents::Exact;
        exact && n > 1 && len > 0 && !known && !self.pinned
    }

    /// A call that appends `n` tokens to the `len` of the sequence begins.
    fn begin(&mut self, len: usize, n: usize) {
        match self.contents {
            // The call overwrites keys and values of the tokens known from here on.
            Contents::Meaningless => self.tokens.truncate(len),
            Contents::Exact if self.recurrent && n > 0 => self.contents = Contents::Unknown,
            Contents::Exact | Contents::Unknown => {}
        }
    }

    /// The states are those after the tokens of the sequence.
    pub(super) fn settle(&mut self) {
        if self.contents == Contents::Unknown {
            self.contents = Contents::Exact;
        }
    }
}

impl<E: Executor> Session<E> {
    /// Takes a snapshot of the recurrent states of each sequence here and no later ones. For timing: no call is longer by a
    /// copy, and truncating to this length is cheap. Rewinding to any other length stays exact.
    ///
    /// # Errors
    /// A failing device.
    pub fn pin(&mut self) -> Result<(), Error> {
        for sequence in 0..self.sequences.len() {
            let Sequence { len, history } = &self.sequences[sequence];
            if history.recurrent && history.contents == Contents::Exact && *len > 0 {
                self.snapshot(sequence)?;
            }
            self.sequences[sequence].history.pinned = true;
        }
        Ok(())
    }

    /// Prepares for a call that appends tokens to sequences, given with the number of tokens. Takes snapshots if the caller may
    /// want to undo part of it. [`History::settle`] ends the call.
    pub(super) fn begin_append(&mut self, appended: &[(usize, usize)]) -> Result<(), Error> {
        let lost =
            |(sequence, _): &(usize, usize)| self.sequences[*sequence].history.contents == Contents::Unknown;
        if appended.iter().any(lost) {
            return Err(Error::StateLost);
        }
        for &(sequence, n) in appended {
            let Sequence { len, history } = &self.sequences[sequence];
            if history.wants_snapshot(*len, n) {
                self.snapshot(sequence)?;
            }
        }
        for &(sequence, n) in appended {
            let Sequence { len, history } = &mut self.sequences[sequence];
            history.begin(*len, n);
        }
        Ok(())
    }

    /// Copies the states of a sequence to an unused snapshot, or to the oldest one.
    fn snapshot(&mut self, sequence: usize) -> Result<(), Error> {
        let Sequence { len, history } = &mut self.sequences[sequence];
        // `None` is the least, and older snapshots have fewer tokens.
        let Some(snapshot) = history.snapshots.iter_mut().min_by_key(|it| it.len) else { return Ok(()) };
        snapshot.len = None;
        let to = snapshot.states.iter().map(Buffer::all);
        copy_all(&mut *self.executor.borrow_mut(), self.cache.recurrent_states(sequence).zip(to))?;
        snapshot.len = Some(*len);
        Ok(())
    }

    /// Forgets the tokens of the selected sequence from position `len` on.
    pub(super) fn rewind(&mut self, len: usize) -> Result<(), Error> {
        let Sequence { len: all, history } = self.current_mut();
        let len = len.min(*all);
        let ahead = len == *all && history.contents == Contents::Exact;
        let lost = history.contents == Contents::Meaningless && len > history.tokens.len();
        if !history.recurrent || ahead || lost {
            *all = len;
            return Ok(());
        }
        history.contents = Contents::Unknown;
        for snapshot in &mut history.snapshots {
            snapshot.len = snapshot.len.filter(|&it| it <= len);
        }
        let restored = self.restore(len)?;
        let Sequence { len: all, history } = self.current_mut();
        let kept = history.tokens[..len].to_vec();
        *all = restored;
        history.tokens.truncate(restored);
        history.contents = Contents::Exact;
        let replayed = self.run_chunks(&kept[restored..], Rows::None, Output::Logits, |_| ());
        if replayed.is_err() {
            // The next truncation tries again.
            let Sequence { len: all, history } = self.current_mut();
            *all = len;
            history.tokens = kept;
            history.contents = Contents::Unknown;
        }
        replayed
    }

    /// Restores the states of the selected sequence after at most `len` tokens, and returns their number.
    fn restore(&self, len: usize) -> Result<usize, Error> {
        let mut executor = self.executor.borrow_mut();
        let states = self.cache.recurrent_states(self.selected);
        let snapshots = self.current().history.snapshots.iter().filter(|it| it.len.is_some());
        if let Some(newest) = snapshots.max_by_key(|it| it.len).filter(|_| len > 0) {
            let from = newest.states.iter().map(Buffer::all);
            copy_all(&mut *executor, from.zip(states))?;
            return Ok(newest.len.unwrap_or(0));
        }
        for state in states {
            let zeros = vec![0; usize::try_from(state.bytes).unwrap_or(usize::MAX)];
            executor.write(state, &zeros)?;
        }
        Ok(0)
    }
}

/// Copies slices on the device: (from, to).
fn copy_all(executor: &mut dyn Executor, slices: impl Iterator<Item = (Slice, Slice)>) -> Result<(), Error> {
    let mut recording = Recording::new();
    for (from_words, to) in slices {
        let params =
            copy::Params { n: dim32(usize::try_from(to.bytes / 4).unwrap_or(usize::MAX)), rounds: 1 };
        recording.run(Copy { workgroup_size: 64, items: 8 }, params, copy::Args { from_words, to });
    }
    executor.run(&recording)?;
    Ok(())
}
