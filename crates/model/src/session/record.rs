//! Recording a forward pass: embedding, layers, head, and the choice of the next token.

use super::Session;
use super::token_table::Segment;
use crate::Error;
use crate::config::dim32;
use crate::ops::{Activation, Ops, Sample};
use crate::scratch::Temp;
use ridgeline_compute::{Executor, Recording, Region, Slice};
use ridgeline_roofline::Cost;
use ridgeline_speculative::{Rows, Token};

/// The result of a forward pass for its last rows.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Output {
    /// Read back the logits.
    Logits,
    /// Read back the greedy choices.
    GreedyTokens,
    /// Choose the next token of each row on the device, and store them from this index of [`Temp::Tokens`] on. The sample is
    /// for one row. Without it, choices are greedy.
    Next(u32, Option<Sample>),
}

/// The tokens of a forward pass.
#[derive(Clone, Copy)]
pub(super) struct PassTokens<'a> {
    /// Index of the first id in [`Temp::Tokens`]. With several segments, it is a multiple of [`ALIGNED`].
    ///
    /// [`ALIGNED`]: super::token_table::ALIGNED
    pub(super) first: usize,
    /// Where they are in their sequences, in order.
    pub(super) segments: &'a [Segment],
}

impl<E: Executor> Session<E> {
    /// The recording of `tokens` appended at the current position, as [`extend_greedy`] would run it. Nothing runs.
    /// For costs and for measurements of single launches.
    ///
    /// # Errors
    /// Tokens beyond the batch, the context or the vocabulary.
    ///
    /// [`extend_greedy`]: ridgeline_speculative::LanguageModel::extend_greedy
    pub fn record(&mut self, tokens: &[Token], want: Rows) -> Result<&Recording, Error> {
        self.check_tokens(self.selected, tokens)?;
        let (rows, most) = (want.count(tokens.len()), self.scratch.rows);
        if tokens.len() > self.scratch.tokens || rows > most {
            return Err(Error::Batch { tokens: tokens.len(), batch: self.scratch.tokens, rows, most });
        }
        self.record_tokens(tokens, want, Output::GreedyTokens);
        Ok(&self.recording)
    }

    /// Appends `tokens` in one forward pass and returns its cost, with the traffic of the experts that they chose.
    ///
    /// # Errors
    /// As [`Self::record`], and a failing device.
    pub fn extend_counted(&mut self, tokens: &[Token], want: Rows) -> Result<Cost, Error> {
        self.record(tokens, want)?;
        self.begin_append(&[(self.selected, tokens.len())])?;
        self.recording.read_back_deciding();
        let output = self.executor.borrow_mut().run_with(&self.recording, self.run)?;
        self.times.add(&output.timing, tokens.len() as u64);
        let sequence = self.current_mut();
        sequence.append(tokens.iter().copied(), tokens.len());
        sequence.history.settle();
        Ok(self.recording.cost_after(&output))
    }

    /// Replaces the recording by the upload of `tokens` and their forward pass.
    pub(super) fn record_tokens(&mut self, tokens: &[Token], want: Rows, output: Output) {
        let segments = [self.next_segment(tokens.len())];
        self.record_pass((tokens, &segments), want.count(tokens.len()), output);
    }

    /// Replaces the recording by the upload of the tokens of `segments` and their forward pass, with logits of the last `rows`.
    pub(super) fn record_pass(
        &mut self,
        (tokens, segments): (&[Token], &[Segment]),
        rows: usize,
        output: Output,
    ) {
        // Embeddings are given to a session of one sequence only, whose tokens are one segment.
        let ids = self.given.ids(segments[0].position, tokens);
        self.start_recording(&ids);
        self.record_forward(PassTokens { first: 0, segments }, rows, output);
    }

    /// Replaces the recording by the upload of `tokens`.
    pub(super) fn start_recording(&mut self, tokens: &[Token]) {
        self.recording.clear();
        self.recording.upload(self.scratch.buffer(Temp::Tokens).all(), bytemuck::cast_slice(tokens));
    }

    /// Adds one forward pass to the recording. The head computes the last `rows` tokens only.
    pub(super) fn record_forward(&mut self, tokens: PassTokens<'_>, rows: usize, output: Output) {
        let executor = self.executor.borrow();
        let mut caps = executor.caps().clone();
        if !self.switches.cooperative {
            caps.cooperative = &[];
        }
        let PassTokens { first, segments } = tokens;
        let n: usize = segments.iter().map(|it| it.n).sum();
        let seen = self.token_table.seen(segments, first);
        if segments.len() > 1 {
            self.token_table.upload(&mut self.recording, &seen);
        }
        let mut ops = Ops {
            recording: &mut self.recording,
            config: &self.model.config,
            scratch: &self.scratch,
            cache: &self.cache,
            ropes: &self.ropes,
            token_table: self.token_table.slice(),
            seen: &seen,
            segments,
            caps: &caps,
            tuning: &self.tuning,
            switches: self.switches,
            first: dim32(first),
            tokens: dim32(n),
            layer: None,
            ablated: false,
        };
        ops.enter_module("embed");
        ops.embed(&self.model.embed, self.model.config.embed_scale);
        if let Some(given) = self.given.table(segments[0].position, n) {
            ops.embed(given, 1.0);
        }
        for layer in 0..self.model.config.layers {
            ops.layer = Some(dim32(layer));
            self.model.decoder.layer(&mut ops, layer);
        }
        ops.layer = None;
        if rows > 0 {
            let rows = dim32(rows);
            let logits = ops.head(&self.model, dim32(n) - rows, rows);
            ops.enter_module("sampling");
            if let Some(result) = record_output(&mut ops, logits, rows, output) {
                self.recording.read_back(result);
            }
        }
        self.recording.enter(Region::default());
    }
}

/// Records what follows the logits. Returns the bytes to read back; a next token stays on the device.
fn record_output(ops: &mut Ops<'_>, logits: Activation, rows: u32, output: Output) -> Option<Slice> {
    match output {
        Output::GreedyTokens => Some(ops.argmax(logits, rows, (Temp::GreedyTokens, 0))),
        Output::Logits => Some(logits.slice.head(4 * u64::from(rows) * u64::from(logits.width))),
        Output::Next(index, None) => {
            ops.argmax(logits, rows, (Temp::Tokens, index));
            None
        }
        Output::Next(index, Some(sample)) => {
            ops.sample_top_k(logits, sample, index);
            None
        }
    }
}
