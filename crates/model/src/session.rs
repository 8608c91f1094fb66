//! One sequence: a model, an executor, a key/value cache, and the buffers a forward pass needs.

use crate::cache::KvCache;
use crate::ops::{Ops, Sample};
use crate::scratch::{Scratch, Temp};
use crate::{Config, Error, Model, RunTimes, Switches};
use ridgeline_compute::{Buffer, Caps, Executor, Recording, Region, Role, RunOutput};
use ridgeline_kernels::{Tuning, attention_for};
use ridgeline_quant::Format;
use ridgeline_speculative::{Choice, LanguageModel, Logits, OnTokens, Rows, Token, decode_on_host};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

mod decode;
mod prepare;

pub(crate) use decode::MAX_AHEAD;

/// An executor that several sessions use, one at a time: a draft and a target on one device.
pub type Shared<E> = Rc<RefCell<E>>;

/// What a session is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionOptions {
    /// Positions the cache holds.
    pub context: usize,
    /// Most tokens per recording; longer prompts are cut into chunks.
    pub batch: usize,
    /// Rows of logits that one recording can output at least; more are given where they stay under 32 MiB.
    pub logit_rows: usize,
    /// Number formats of the keys and of the values in the cache.
    pub cache: [Format; 2],
    /// What experiments vary.
    pub switches: Switches,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            context: 2048,
            batch: 512,
            logit_rows: 1,
            cache: [Format::F16; 2],
            switches: Switches::default(),
        }
    }
}

/// One sequence.
#[derive(Debug)]
pub struct Session<E: Executor> {
    model: Arc<Model>,
    executor: Shared<E>,
    cache: KvCache,
    scratch: Scratch,
    table: Buffer,
    switches: Switches,
    tuning: Tuning,
    recording: Recording,
    len: usize,
    times: RunTimes,
    /// Time of one token of the last generation, nanoseconds.
    token_ns: Option<u64>,
}

/// What becomes of a pass's last rows.
#[derive(Clone, Copy, PartialEq)]
enum Output {
    /// The host gets logits.
    Logits,
    /// The host gets greedy choices.
    GreedyTokens,
    /// A choice becomes the token at this range of their buffer: drawn, or the greedy one.
    Next(u32, Option<Sample>),
}

/// The tokens of a pass: where their ids begin, how many they are, and the position of the first.
#[derive(Clone, Copy)]
struct TokenRange {
    first: usize,
    n: usize,
    position: usize,
}

impl<E: Executor> Session<E> {
    /// An empty sequence.
    ///
    /// # Errors
    /// A cache format that does not fit the model, or a device too small for the context.
    pub fn new(model: Arc<Model>, executor: Shared<E>, options: SessionOptions) -> Result<Self, Error> {
        let mut device = executor.borrow_mut();
        let context = options.context.max(1);
        let batch = options.batch.clamp(1, context);
        let cache = KvCache::new(&mut *device, &model.config, options.cache, context)?;
        check_window(&model.config, context)?;
        check_attention(&model.config, options.cache, batch, device.caps())?;
        let unfused = options.switches.attention == crate::AttentionPath::Unfused;
        let scratch = Scratch::new(
            &mut *device,
            &model.config,
            [batch, options.logit_rows],
            (if unfused { context } else { 0 }, options.switches.int8_dot),
        )?;
        let values = model.config.rope.table(context);
        let table = device.alloc(4 * values.len() as u64, Role::Activation, "rope table")?;
        device.write(table.all(), bytemuck::cast_slice(&values))?;
        drop(device);
        let (recording, times) = (Recording::new(), RunTimes::default());
        Ok(Self {
            executor,
            cache,
            scratch,
            table,
            switches: options.switches,
            tuning: model.tuning.clone(),
            model,
            recording,
            len: 0,
            times,
            token_ns: None,
        })
    }

    /// Chooses other kernels than those found for its model's device.
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

    /// Counts `len` positions as filled, whatever the cache holds there: what follows takes as long as after real
    /// tokens, and its text means nothing. For timing random weights at depth.
    ///
    /// # Errors
    /// [`Error::ContextFull`] beyond the cache.
    pub fn set_kv_len(&mut self, len: usize) -> Result<(), Error> {
        if len > self.cache.capacity {
            return Err(Error::ContextFull { wanted: len, capacity: self.cache.capacity });
        }
        self.len = len;
        Ok(())
    }

    /// Bytes of the activation buffers that a pass over `tokens` tokens with `rows` rows of logits touches.
    #[must_use]
    pub fn activation_bytes(&self, tokens: usize, rows: usize) -> u64 {
        crate::scratch::min_activation_bytes(&self.model.config, tokens, rows)
    }

    /// Most tokens per recording.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.scratch.tokens
    }

    /// Where the time went since the last call of this.
    pub const fn take_times(&mut self) -> RunTimes {
        let times = self.times;
        self.times =
            RunTimes { recordings: 0, tokens: 0, submissions: 0, encode_ns: 0, submit_ns: 0, wait_ns: 0 };
        times
    }

    /// The recording of appending `tokens` at the present position, as [`LanguageModel::extend_greedy`] would run
    /// it in one piece; nothing runs. For costs and for launch-by-launch measurements.
    ///
    /// # Errors
    /// Tokens beyond the batch, the context or the vocabulary.
    pub fn record(&mut self, tokens: &[Token], want: Rows) -> Result<&Recording, Error> {
        self.check(tokens)?;
        let (rows, most) = (want.count(tokens.len()), self.scratch.rows);
        if tokens.len() > self.scratch.tokens || rows > most {
            return Err(Error::Batch { tokens: tokens.len(), batch: self.scratch.tokens, rows, most });
        }
        self.build(tokens, want, Output::GreedyTokens);
        Ok(&self.recording)
    }

    fn check(&self, tokens: &[Token]) -> Result<(), Error> {
        let wanted = self.len + tokens.len();
        if wanted > self.cache.capacity {
            return Err(Error::ContextFull { wanted, capacity: self.cache.capacity });
        }
        let vocab = self.model.config.vocab;
        match tokens.iter().find(|&&token| token as usize >= vocab) {
            Some(&token) => Err(Error::Token { token, vocab }),
            None => Ok(()),
        }
    }

    fn build(&mut self, tokens: &[Token], want: Rows, output: Output) {
        self.begin(tokens);
        let range = TokenRange { first: 0, n: tokens.len(), position: self.len };
        self.record_forward(range, want.count(tokens.len()), output);
    }

    fn begin(&mut self, tokens: &[Token]) {
        self.recording.clear();
        self.recording.upload(self.scratch.buffer(Temp::Tokens).all(), bytemuck::cast_slice(tokens));
    }

    /// Records one pass.
    fn record_forward(&mut self, TokenRange { first, n, position }: TokenRange, rows: usize, output: Output) {
        let executor = self.executor.borrow();
        let mut caps = executor.caps().clone();
        if !self.switches.cooperative {
            caps.cooperative = &[];
        }
        let mut ops = Ops {
            recording: &mut self.recording,
            config: &self.model.config,
            scratch: &self.scratch,
            cache: &self.cache,
            table: self.table.all(),
            caps: &caps,
            tuning: &self.tuning,
            switches: self.switches,
            first: narrow(first),
            tokens: narrow(n),
            position: narrow(position),
            layer: None,
        };
        ops.enter_module("embed");
        ops.embed(&self.model.embed);
        for layer in 0..self.model.config.layers {
            ops.layer = Some(narrow(layer));
            self.model.decoder.layer(&mut ops, layer);
        }
        ops.layer = None;
        if rows > 0 {
            let logits = ops.head(&self.model, narrow(n - rows), narrow(rows));
            let back = match output {
                Output::GreedyTokens => Some(ops.argmax(logits, narrow(rows), (Temp::GreedyTokens, 0))),
                Output::Logits => Some(logits.slice.head(4 * rows as u64 * u64::from(logits.width))),
                Output::Next(range, None) => {
                    ops.argmax(logits, 1, (Temp::Tokens, range));
                    None
                }
                Output::Next(range, Some(sample)) => {
                    ops.sample_top_k(logits, sample, range);
                    None
                }
            };
            if let Some(back) = back {
                self.recording.read_back(back);
            }
        }
        self.recording.enter(Region::default());
    }

    /// Runs `tokens` in chunks; hands each chunk's read-back to `take`.
    fn run_chunks(
        &mut self,
        tokens: &[Token],
        want: Rows,
        output: Output,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), Error> {
        self.check(tokens)?;
        let most =
            if want == Rows::All { self.scratch.tokens.min(self.scratch.rows) } else { self.scratch.tokens };
        let chunks = tokens.len().div_ceil(most.max(1));
        for (i, chunk) in tokens.chunks(most).enumerate() {
            let last = i + 1 == chunks;
            let rows = if want == Rows::Last && !last { Rows::None } else { want };
            self.build(chunk, rows, output);
            let RunOutput { timing, reads } = self.executor.borrow_mut().run(&self.recording)?;
            self.times.add(&timing, chunk.len() as u64);
            self.len += chunk.len();
            reads.iter().for_each(|bytes| take(bytes));
        }
        Ok(())
    }
}

impl<E: Executor> LanguageModel for Session<E> {
    type Error = Error;

    fn vocab(&self) -> usize {
        self.model.config.vocab
    }

    fn len(&self) -> usize {
        self.len
    }

    fn capacity(&self) -> usize {
        self.cache.capacity
    }

    fn extend(&mut self, tokens: &[Token], want: Rows) -> Result<Logits, Error> {
        let mut data = Vec::with_capacity(want.count(tokens.len()) * self.vocab());
        self.run_chunks(tokens, want, Output::Logits, |bytes| data.extend(floats(bytes)))?;
        Ok(Logits { vocab: self.vocab(), data })
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn extend_greedy(&mut self, tokens: &[Token], want: Rows) -> Result<Vec<Token>, Error> {
        let mut picks = Vec::with_capacity(want.count(tokens.len()));
        self.run_chunks(tokens, want, Output::GreedyTokens, |bytes| picks.extend(words(bytes)))?;
        Ok(picks)
    }

    fn decode(
        &mut self,
        token: Token,
        choice: Choice<'_>,
        on_tokens: &mut OnTokens<'_>,
    ) -> Result<(), Error> {
        let n = choice.count();
        if self.len + n > self.cache.capacity {
            return Err(Error::ContextFull { wanted: self.len + n, capacity: self.cache.capacity });
        }
        self.check(&[token][..n.min(1)])?;
        match choice {
            Choice::Greedy(_) => self.chain(token, n, &|_| None, on_tokens),
            Choice::Sampled(sampler, at) if Sample::supports(sampler) => {
                self.chain(token, n, &|i| Some(Sample::new(sampler, at[i])), on_tokens)
            }
            Choice::Sampled(..) => decode_on_host(self, token, choice, on_tokens),
        }
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    words(bytes).map(f32::from_bits)
}

/// Attention over a sliding window is not implemented, so positions beyond it must not come up.
fn check_window(config: &Config, context: usize) -> Result<(), Error> {
    match config.window {
        Some(window) if context > window => Err(Error::Window { context, window }),
        _ => Ok(()),
    }
}

/// Refuses a shape whose attention kernel needs more workgroup memory than there is.
fn check_attention(config: &Config, cache: [Format; 2], batch: usize, caps: &Caps) -> Result<(), Error> {
    let kernel = attention_for(cache, narrow(config.head_dim), narrow(config.group()), narrow(batch), caps);
    let (bytes, limit) = (kernel.workgroup_bytes(), caps.max_workgroup_memory);
    if bytes <= limit {
        return Ok(());
    }
    let label = format!("attention with {} heads of {} per key", config.group(), config.head_dim);
    let (bytes, limit) = (u64::from(bytes), u64::from(limit));
    Err(ridgeline_compute::Error::Limit { label, bytes, limit, what: "workgroup memory" }.into())
}

/// Token counts and positions are bounded by the context, whose buffers were allocated.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("positions fit 32 bits")
}
