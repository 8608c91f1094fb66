//! A session: a model, an executor, a key/value cache for one or several sequences, and the buffers of a forward pass.

pub(crate) mod check;
mod decode;
mod given;
mod many;
mod prepare;
mod read_back;
mod record;
mod rewind;
pub(crate) mod token_table;

use crate::cache::KvCache;
use crate::layers::Heads;
use crate::ops::Sample;
use crate::rope::RopeTable;
use crate::scratch::{Scratch, submission_tokens};
use crate::{AttentionPath, Error, Model, RunTimes, Switches};
use given::GivenRows;
use record::Output;
use rewind::History;
use ridgeline_compute::{Executor, Recording, RunOptions};
use ridgeline_kernels::{Tuning, can_fuse_attention};
use ridgeline_quant::Format;
use ridgeline_speculative::{Choice, LanguageModel, Logits, OnTokens, Rows, Token, decode_on_host};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use token_table::{Segment, TokenTable};

/// An executor that several sessions use, one at a time: a draft and a target on one device.
pub type Shared<E> = Rc<RefCell<E>>;

/// Options of a [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionOptions {
    /// Context size: positions that the cache holds for each sequence.
    pub context: usize,
    /// Number of sequences.
    pub sequences: usize,
    /// Most tokens per recording. Longer prompts are split into chunks.
    pub batch: usize,
    /// Rows of logits that one recording must be able to output. More rows are allowed up to 32 MiB.
    pub logit_rows: usize,
    /// Quantization types of the keys and of the values in the cache.
    pub cache: [Format; 2],
    /// Variations of the forward pass.
    pub switches: Switches,
    /// How every recording is run: submissions, waits, timestamps.
    pub run: RunOptions,
    /// Decode ahead: forward passes are submitted before the choices of earlier ones are read back.
    ///
    /// Otherwise one token at a time is recorded, run and read back.
    pub pipelined: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            context: 2048,
            sequences: 1,
            batch: 512,
            logit_rows: 1,
            cache: [Format::F16; 2],
            switches: Switches::default(),
            run: RunOptions::default(),
            pipelined: true,
        }
    }
}

/// What the cache holds of one sequence.
#[derive(Debug)]
struct Sequence {
    len: usize,
    history: History,
}

impl Sequence {
    /// The cache holds these `n` tokens more.
    fn append(&mut self, tokens: impl IntoIterator<Item = Token>, n: usize) {
        self.len += n;
        self.history.append(tokens);
    }
}

/// One or several sequences of a model.
///
/// The methods of [`LanguageModel`] continue the [selected](Self::select) sequence, which is the first one by default.
/// [`Self::extend_many`] and [`Self::decode_many`] continue several in one forward pass.
#[derive(Debug)]
pub struct Session<E: Executor> {
    model: Arc<Model>,
    executor: Shared<E>,
    cache: KvCache,
    sequences: Vec<Sequence>,
    /// Index of the sequence that methods for one sequence continue.
    selected: usize,
    scratch: Scratch,
    ropes: Vec<RopeTable>,
    token_table: TokenTable,
    given: GivenRows,
    switches: Switches,
    run: RunOptions,
    pipelined: bool,
    tuning: Tuning,
    /// Reused by every forward pass.
    recording: Recording,
    times: RunTimes,
    /// Number of sequences of the newest decode submission, and nanoseconds per forward pass. `None` before the first.
    pass_ns: Option<(usize, u64)>,
}

impl<E: Executor> Session<E> {
    /// Empty sequences.
    ///
    /// # Errors
    /// A cache format that does not fit the model, or a device too small.
    pub fn new(model: Arc<Model>, executor: Shared<E>, options: SessionOptions) -> Result<Self, Error> {
        let mut device = executor.borrow_mut();
        let (context, count) = (options.context.max(1), options.sequences.max(1));
        // Kernels count the visible rows of all tokens in 32 bits.
        let countable = usize::try_from(u32::MAX).unwrap_or(usize::MAX) / context;
        let batch = options.batch.min(countable).clamp(1, context.saturating_mul(count));
        let states = model.decoder.states(&options.switches);
        // Heads of a form of MLA that is not in use have no state.
        let heads: Vec<Heads> =
            model.heads().iter().copied().filter(|it| states.contains(&it.state())).collect();
        let cache = KvCache::new(&mut *device, (&states, &heads), options.cache, [count, context])?;
        let sequence =
            |i| Ok::<_, Error>(Sequence { len: 0, history: History::new(&mut *device, &cache, i)? });
        let sequences = (0..count).map(sequence).collect::<Result<_, Error>>()?;
        check::attention_memory(&heads, options.cache, batch, device.caps())?;
        let mut switches = options.switches;
        if !can_fuse_attention(device.caps()) {
            switches.attention = AttentionPath::Unfused;
        }
        let unfused = switches.attention == AttentionPath::Unfused;
        let scratch = Scratch::new(
            &mut *device,
            &model.reserved,
            [batch, options.logit_rows.max(count), count],
            (if unfused { context * count } else { 0 }, switches.int8_dot),
        )?;
        let tables = model.reserved.ropes.iter().map(|rope| RopeTable::new(&mut *device, rope, context));
        let ropes = tables.collect::<Result<_, Error>>()?;
        let room = if count == 1 { 0 } else { submission_tokens(batch, count) };
        let token_table = TokenTable::new(&mut *device, model.heads(), [count, context, room])?;
        drop(device);
        let (recording, times) = (Recording::new(), RunTimes::default());
        Ok(Self {
            executor,
            cache,
            sequences,
            selected: 0,
            scratch,
            ropes,
            token_table,
            given: GivenRows::default(),
            switches,
            run: options.run,
            pipelined: options.pipelined,
            tuning: model.tuning.clone(),
            model,
            recording,
            times,
            pass_ns: None,
        })
    }

    /// Replaces the tuned kernel choices that came with the model.
    pub fn tune(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The executor.
    #[must_use]
    pub const fn executor(&self) -> &Shared<E> {
        &self.executor
    }

    /// The cache.
    #[must_use]
    pub const fn cache(&self) -> &KvCache {
        &self.cache
    }

    /// Number of sequences.
    #[must_use]
    pub const fn sequences(&self) -> usize {
        self.sequences.len()
    }

    /// Selects the sequence that the methods for one sequence continue.
    ///
    /// # Errors
    /// [`Error::NoSequence`].
    pub fn select(&mut self, sequence: usize) -> Result<&mut Self, Error> {
        self.check_sequence(sequence)?;
        self.selected = sequence;
        Ok(self)
    }

    fn current(&self) -> &Sequence {
        &self.sequences[self.selected]
    }

    fn current_mut(&mut self) -> &mut Sequence {
        &mut self.sequences[self.selected]
    }

    /// The next `n` tokens of the selected sequence.
    fn next_segment(&self, n: usize) -> Segment {
        Segment { sequence: self.selected, position: self.current().len, n }
    }

    /// Sets the length of the selected sequence to `len` and leaves the cache unchanged. For timing at a depth: forward passes cost
    /// the same as after real tokens, but their logits mean nothing.
    ///
    /// # Errors
    /// [`Error::ContextFull`] beyond the cache.
    pub fn set_kv_len(&mut self, len: usize) -> Result<(), Error> {
        self.check_room(len)?;
        let sequence = self.current_mut();
        if len != sequence.len {
            sequence.history.moved();
        }
        sequence.len = len;
        Ok(())
    }

    /// Most tokens per recording.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.scratch.tokens
    }

    /// Times accumulated since the last call; resets them.
    pub fn take_times(&mut self) -> RunTimes {
        std::mem::take(&mut self.times)
    }
}

impl<E: Executor> LanguageModel for Session<E> {
    type Error = Error;

    fn vocab(&self) -> usize {
        self.model.config.vocab
    }

    fn len(&self) -> usize {
        self.current().len
    }

    fn capacity(&self) -> usize {
        self.cache.capacity
    }

    fn extend(&mut self, tokens: &[Token], want: Rows) -> Result<Logits, Error> {
        let mut data = Vec::with_capacity(want.count(tokens.len()) * self.vocab());
        self.run_chunks(tokens, want, Output::Logits, |bytes| data.extend(read_back::floats(bytes)))?;
        Ok(Logits { vocab: self.vocab(), data })
    }

    fn truncate(&mut self, len: usize) -> Result<(), Error> {
        self.rewind(len)
    }

    fn extend_greedy(&mut self, tokens: &[Token], want: Rows) -> Result<Vec<Token>, Error> {
        let mut picks = Vec::with_capacity(want.count(tokens.len()));
        self.run_chunks(tokens, want, Output::GreedyTokens, |bytes| picks.extend(read_back::words(bytes)))?;
        Ok(picks)
    }

    fn decode(
        &mut self,
        token: Token,
        choice: Choice<'_>,
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<(), Error> {
        let n = choice.count();
        self.check_room(self.len() + n)?;
        self.check_tokens(self.selected, &[token][..n.min(1)])?;
        match choice {
            Choice::Greedy(_) => {
                self.decode_on_device((&[self.next_segment(1)], &[token]), n, &|_| None, on_tokens)
            }
            Choice::Sampled(sampler, at) if Sample::supports(sampler) => {
                let sample = |i| Some(Sample::new(sampler, at[i]));
                self.decode_on_device((&[self.next_segment(1)], &[token]), n, &sample, on_tokens)
            }
            Choice::Sampled(..) => decode_on_host(self, token, choice, on_tokens),
        }
    }
}
