//! What the tokens of a forward pass see, on the device: the binding `tokens` of the kernels between the QKV projection and
//! the output projection.

use crate::Error;
use crate::config::dim32;
use crate::layers::Heads;
use ridgeline_compute::{Buffer, Executor, Recording, Role, Slice};
use ridgeline_kernels::{TokenInfo, VisibleRows};

/// Entries whose bytes are a multiple of the alignment of slices.
pub(crate) const ALIGNED: usize = 256 / size_of::<TokenInfo>();

/// The [`TokenInfo`] of every row of the KV cache, once per distinct window of the model's layers.
///
/// Sequences are causal, and each owns as many rows as the context. So these entries are known beforehand, and a forward pass
/// of one sequence uploads none. A pass of several needs their tokens side by side. It uploads them behind the others.
#[derive(Debug)]
pub(crate) struct TokenTable {
    buffer: Buffer,
    windows: Vec<Option<u32>>,
    /// Rows of a sequence.
    context: usize,
    /// Rows of all sequences.
    rows: usize,
    /// Entries per window for passes of several sequences.
    room: usize,
}

/// Consecutive tokens of one sequence within a forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) sequence: usize,
    /// Position of the first in the sequence.
    pub(crate) position: usize,
    pub(crate) n: usize,
}

/// The tokens of a forward pass, as layers with one window see them.
#[derive(Clone, Debug)]
pub(crate) struct TokensSeen {
    /// The window, in tokens. `None`: a token sees all tokens before it.
    pub(crate) window: Option<u32>,
    /// Index of the first in the table.
    pub(crate) token0: u32,
    pub(crate) tokens: Vec<TokenInfo>,
    /// What they see together.
    pub(crate) rows: VisibleRows,
}

impl TokenTable {
    /// The table for sequences of `context` positions and for the windows of `heads`. A submission has at most `room` tokens
    /// of several sequences.
    pub(crate) fn new(
        executor: &mut dyn Executor,
        heads: &[Heads],
        [sequences, context, room]: [usize; 3],
    ) -> Result<Self, Error> {
        let mut windows: Vec<Option<u32>> = heads.iter().map(|it| it.window).collect();
        windows.sort_unstable();
        windows.dedup();
        if windows.is_empty() {
            // Recurrent layers see no rows, but some launches store rows of activations.
            windows.push(None);
        }
        let (rows, room) = (sequences * context, room.next_multiple_of(ALIGNED));
        let whole = |sequence| Segment { sequence, position: 0, n: context };
        let of_window = |&window| (0..sequences).flat_map(move |it| whole(it).tokens(context, window));
        let tokens: Vec<_> = windows.iter().flat_map(of_window).collect();
        let entries = tokens.len().next_multiple_of(ALIGNED) + windows.len() * room;
        let buffer = executor.alloc(TokenInfo::BYTES * entries as u64, Role::Activation, "tokens")?;
        executor.write(buffer.all(), bytemuck::cast_slice(&tokens))?;
        Ok(Self { buffer, windows, context, rows, room })
    }

    /// The binding.
    pub(crate) fn slice(&self) -> Slice {
        self.buffer.all()
    }

    /// What the tokens of `segments` see, for every window. `first` is the index of the first among those of the submission.
    pub(crate) fn seen(&self, segments: &[Segment], first: usize) -> Vec<TokensSeen> {
        let of_window = |(index, &window): (usize, &Option<u32>)| {
            let tokens: Vec<_> = segments.iter().flat_map(|it| it.tokens(self.context, window)).collect();
            let token0 = match segments {
                [one] => index * self.rows + one.sequence * self.context + one.position,
                _ => (self.windows.len() * self.rows).next_multiple_of(ALIGNED) + index * self.room + first,
            };
            let rows = VisibleRows::of(&tokens);
            TokensSeen { window, token0: dim32(token0), tokens, rows }
        };
        self.windows.iter().enumerate().map(of_window).collect()
    }

    /// Uploads what the tokens of several sequences see. The first one's index is a multiple of [`ALIGNED`].
    pub(crate) fn upload(&self, recording: &mut Recording, seen: &[TokensSeen]) {
        for TokensSeen { token0, tokens, .. } in seen {
            let bytes = bytemuck::cast_slice(tokens);
            let at = TokenInfo::BYTES * u64::from(*token0);
            recording.upload(self.buffer.slice(at, bytes.len() as u64), bytes);
        }
    }
}

impl Segment {
    /// Its tokens where each sequence owns `context` rows.
    fn tokens(self, context: usize, window: Option<u32>) -> impl Iterator<Item = TokenInfo> {
        let base = dim32(self.sequence * context);
        let positions = self.position..self.position + self.n;
        positions.map(move |position| TokenInfo::causal(base, dim32(position), window))
    }
}
