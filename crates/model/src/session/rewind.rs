//! Rewinding a sequence. Attention forgets positions for free. A recurrent state is overwritten by every token:
//!
//! ```text
//! before a call that appends several tokens: snapshot the states, unless one is pinned
//! truncate to len: restore the newest snapshot of at most len tokens, or zeros; append the tokens up to len again
//! ```
//!
//! Whatever ends with an error leaves states that are not known. The session then refuses to go on until a truncation
//! has restored them.

use super::Session;
use super::record::Output;
use crate::Error;
use crate::cache::KvCache;
use crate::config::dim32;
use ridgeline_compute::{Buffer, Executor, Recording, Role, Slice};
use ridgeline_kernels::copy::{self, Copy};
use ridgeline_speculative::{Rows, Token};

/// Snapshots kept. Speculation rewinds to the last call; the other one is for a caller that rewinds further.
const SNAPSHOTS: usize = 2;

/// The states of the recurrent layers after some tokens.
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
    /// The tokens of the sequence, as far as they are known.
    tokens: Vec<Token>,
    snapshots: Vec<Snapshot>,
    /// Whether calls take no further snapshots.
    pinned: bool,
    contents: Contents,
}

impl History {
    /// Allocates the snapshots of the recurrent states of `cache`.
    pub(super) fn new(executor: &mut dyn Executor, cache: &KvCache) -> Result<Self, Error> {
        let mut snapshot = || {
            let states = cache.recurrent_states();
            let copies = states.map(|state| executor.alloc(state.bytes, Role::Kv, "snapshot of a state"));
            Ok(Snapshot { len: None, states: copies.collect::<Result<_, ridgeline_compute::Error>>()? })
        };
        let recurrent = cache.recurrent_states().next().is_some();
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
    pub(super) fn append(&mut self, tokens: &[Token]) {
        if self.recurrent && self.contents != Contents::Meaningless {
            self.tokens.extend_from_slice(tokens);
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
    /// Takes a snapshot of the recurrent states here and no later ones. For timing: no call is longer by a copy, and
    /// truncating to this length is cheap. Rewinding to any other length stays exact.
    ///
    /// # Errors
    /// A failing device.
    pub fn pin(&mut self) -> Result<(), Error> {
        let History { recurrent, contents, .. } = self.history;
        if recurrent && contents == Contents::Exact && self.len > 0 {
            self.snapshot()?;
        }
        self.history.pinned = true;
        Ok(())
    }

    /// Prepares for a call that appends `n` tokens: takes a snapshot if the caller may want to undo part of it.
    /// [`History::settle`] ends the call.
    pub(super) fn begin_append(&mut self, n: usize) -> Result<(), Error> {
        if !self.history.recurrent {
            return Ok(());
        }
        if self.history.contents == Contents::Meaningless {
            // The call overwrites keys and values of the tokens known from here on.
            self.history.tokens.truncate(self.len);
            return Ok(());
        }
        if self.history.contents == Contents::Unknown {
            return Err(Error::StateLost);
        }
        let known = self.history.snapshots.iter().any(|it| it.len == Some(self.len));
        // The state of no tokens is zero, and a single token is cheap to append again.
        if n > 1 && self.len > 0 && !known && !self.history.pinned {
            self.snapshot()?;
        }
        if n > 0 {
            self.history.contents = Contents::Unknown;
        }
        Ok(())
    }

    /// Copies the states to an unused snapshot, or to the oldest one.
    fn snapshot(&mut self) -> Result<(), Error> {
        // `None` is the least, and older snapshots have fewer tokens.
        let Some(snapshot) = self.history.snapshots.iter_mut().min_by_key(|it| it.len) else { return Ok(()) };
        snapshot.len = None;
        let to = snapshot.states.iter().map(Buffer::all);
        copy_all(&mut *self.executor.borrow_mut(), self.cache.recurrent_states().zip(to))?;
        snapshot.len = Some(self.len);
        Ok(())
    }

    /// Forgets the tokens from position `len` on.
    pub(super) fn rewind(&mut self, len: usize) -> Result<(), Error> {
        let (history, len) = (&mut self.history, len.min(self.len));
        let ahead = len == self.len && history.contents == Contents::Exact;
        let lost = history.contents == Contents::Meaningless && len > history.tokens.len();
        if !history.recurrent || ahead || lost {
            self.len = len;
            return Ok(());
        }
        history.contents = Contents::Unknown;
        for snapshot in &mut history.snapshots {
            snapshot.len = snapshot.len.filter(|&it| it <= len);
        }
        let restored = self.restore(len)?;
        let kept = self.history.tokens[..len].to_vec();
        self.len = restored;
        self.history.tokens.truncate(restored);
        self.history.contents = Contents::Exact;
        let replayed = self.run_chunks(&kept[restored..], Rows::None, Output::Logits, |_| ());
        if replayed.is_err() {
            // The next truncation tries again.
            self.len = len;
            self.history.tokens = kept;
            self.history.contents = Contents::Unknown;
        }
        replayed
    }

    /// Restores the states of at most `len` tokens, and returns their number.
    fn restore(&mut self, len: usize) -> Result<usize, Error> {
        let mut executor = self.executor.borrow_mut();
        let snapshots = self.history.snapshots.iter().filter(|it| it.len.is_some());
        if let Some(newest) = snapshots.max_by_key(|it| it.len).filter(|_| len > 0) {
            let from = newest.states.iter().map(Buffer::all);
            copy_all(&mut *executor, from.zip(self.cache.recurrent_states()))?;
            return Ok(newest.len.unwrap_or(0));
        }
        for state in self.cache.recurrent_states() {
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
