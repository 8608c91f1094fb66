//! Runs an image encoder: the buffers of its forward pass, and the recording.

use super::VisionModel;
use crate::cache::KvCache;
use crate::config::dim32;
use crate::ops::Ops;
use crate::scratch::{Scratch, Temp};
use crate::session::check::attention_memory;
use crate::session::token_table::{Segment, TokensSeen};
use crate::{AttentionPath, Error, Shared, Switches};
use ridgeline_compute::{Buffer, Executor, Recording, Role};
use ridgeline_kernels::{TokenInfo, VisibleRows, can_fuse_attention};
use ridgeline_quant::Format;
use std::sync::Arc;

/// An image encoder on a device.
#[derive(Debug)]
pub struct ImageEncoder<E: Executor> {
    model: Arc<VisionModel>,
    executor: Shared<E>,
    /// Keys and values of one layer, in f32. The layers use it one after the other.
    cache: KvCache,
    scratch: Scratch,
    /// The patches on the device. Each sees all.
    token_table: Buffer,
    seen: TokensSeen,
    switches: Switches,
    recording: Recording,
}

impl<E: Executor> ImageEncoder<E> {
    /// Allocates the buffers of a forward pass.
    ///
    /// # Errors
    /// A device too small.
    pub fn new(model: Arc<VisionModel>, executor: Shared<E>, switches: Switches) -> Result<Self, Error> {
        let mut device = executor.borrow_mut();
        let (patches, cached, heads) = (model.shape.patches(), [Format::SINGLE; 2], [model.heads]);
        attention_memory(&heads, cached, patches, device.caps())?;
        let mut switches = switches;
        if !can_fuse_attention(device.caps()) {
            switches.attention = AttentionPath::Unfused;
        }
        let cache = KvCache::new(&mut *device, (&[model.heads.state()], &heads), cached, [1, patches])?;
        let scores = if switches.attention == AttentionPath::Unfused { patches } else { 0 };
        let sizes = [patches, 1, 1];
        let scratch = Scratch::new(&mut *device, &model.reserved, sizes, (scores, switches.int8_dot))?;
        let n = dim32(patches);
        let tokens: Vec<TokenInfo> = (0..n).map(|row| TokenInfo::new(row, row, 0, n)).collect();
        let token_table = device.alloc(TokenInfo::BYTES * u64::from(n), Role::Activation, "tokens")?;
        device.write(token_table.all(), bytemuck::cast_slice(&tokens))?;
        let seen = TokensSeen { window: None, token0: 0, rows: VisibleRows::of(&tokens), tokens };
        drop(device);
        let recording = Recording::new();
        Ok(Self { model, executor, cache, scratch, token_table, seen, switches, recording })
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &Arc<VisionModel> {
        &self.model
    }

    /// The recording of an image: normalised values (3, size, size), channel by channel. Nothing runs.
    ///
    /// # Errors
    /// [`Error::Pixels`] for another number of values.
    pub fn record(&mut self, pixels: &[f32]) -> Result<&Recording, Error> {
        let (model, expected) = (&*self.model, self.model.shape.values());
        if pixels.len() != expected {
            return Err(Error::Pixels { found: pixels.len(), expected });
        }
        let executor = self.executor.borrow();
        let mut caps = executor.caps().clone();
        if !self.switches.cooperative {
            caps.cooperative = &[];
        }
        self.recording.clear();
        let patches = model.shape.unfold(pixels, model.patches.cols as usize);
        self.recording.upload(self.scratch.buffer(Temp::Patches).all(), bytemuck::cast_slice(&patches));
        let patches = model.shape.patches();
        let segments = [Segment { sequence: 0, position: 0, n: patches }];
        let mut ops = Ops {
            recording: &mut self.recording,
            config: &model.config,
            scratch: &self.scratch,
            cache: &self.cache,
            ropes: &[],
            token_table: self.token_table.all(),
            seen: std::slice::from_ref(&self.seen),
            segments: &segments,
            caps: &caps,
            tuning: &model.tuning,
            switches: self.switches,
            first: 0,
            tokens: dim32(patches),
            layer: None,
            ablated: false,
        };
        let tokens = model.forward(&mut ops);
        let bytes = 4 * model.shape.tokens() as u64 * u64::from(tokens.width);
        self.recording.read_back(tokens.slice.head(bytes));
        Ok(&self.recording)
    }

    /// Compiles the kernels of an image. Nothing runs.
    ///
    /// # Errors
    /// As [`Self::record`]; a kernel that does not compile here.
    pub fn prepare(&mut self, pixels: &[f32]) -> Result<(), Error> {
        self.record(pixels)?;
        self.executor.borrow_mut().prepare(self.recording.kernels())?;
        Ok(())
    }

    /// The embeddings of an image's tokens, (tokens, hidden width of the text model).
    ///
    /// # Errors
    /// As [`Self::record`]; a lost device.
    pub fn encode(&mut self, pixels: &[f32]) -> Result<Vec<f32>, Error> {
        self.record(pixels)?;
        let output = self.executor.borrow_mut().run(&self.recording)?;
        Ok(output.reads.iter().flat_map(|bytes| bytemuck::pod_collect_to_vec::<u8, f32>(bytes)).collect())
    }
}
