//! The states of a session's sequences. A layer with attention has two buffers, for keys and values. Within a buffer, the rows
//! of a head are contiguous, and so are the positions of a sequence among them.

use crate::config::dim32;
use crate::layers::Heads;
use crate::{Error, State};
use ridgeline_compute::{Buffer, Executor, Role, Slice};
use ridgeline_kernels::cache_in_texture;
use ridgeline_quant::Format;

/// States of all layers. Row ((head · sequences + sequence) · capacity + position) of a buffer of keys or values holds one
/// head in the device layout of its quantization type.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<LayerState>,
    /// Quantization types of the keys and of the values.
    pub formats: [Format; 2],
    /// Number of sequences.
    pub sequences: usize,
    /// Number of positions of each sequence.
    pub capacity: usize,
    /// Whether the buffers are textures.
    pub(crate) texture: bool,
}

/// State of a layer on a device.
#[derive(Debug)]
enum LayerState {
    /// Keys; values, unless they are in the keys' rows; vec4 words per row of each.
    Kv { keys: Buffer, values: Option<Buffer>, strides: [u32; 2] },
    /// A state of `bytes` bytes for each sequence, `stride` bytes apart.
    Recurrent { states: Buffer, bytes: u64, stride: u64 },
}

impl LayerState {
    /// The recurrent state after the tokens of a sequence; `None` for keys and values.
    fn recurrent(&self, sequence: usize) -> Option<Slice> {
        match self {
            Self::Kv { .. } => None,
            Self::Recurrent { states, bytes, stride } => Some(states.slice(stride * sequence as u64, *bytes)),
        }
    }
}

/// Keys and values of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KvLayer {
    pub(crate) keys: Slice,
    pub(crate) values: Slice,
    /// Vec4 words per row of keys and of values.
    pub(crate) strides: [u32; 2],
}

impl KvCache {
    /// Allocates the states of `sequences` sequences of `capacity` positions each. `heads` are the shapes of the layers'
    /// attention.
    ///
    /// # Errors
    /// A quantization type that cannot store a head, or a device too small.
    pub fn new(
        executor: &mut dyn Executor,
        (states, heads): (&[State], &[Heads]),
        formats: [Format; 2],
        [sequences, capacity]: [usize; 2],
    ) -> Result<Self, Error> {
        if formats[0] != formats[1] && heads.iter().any(|it| it.latent) {
            let [keys, values] = formats.map(|it| it.spec().name);
            let supported = format!("{keys}, that of the keys, because one row holds both");
            return Err(Error::CacheFormat { format: values, supported });
        }
        let in_texture = |it: &Heads| cache_in_texture(formats, it.shape(), executor.caps());
        let texture = !heads.is_empty() && heads.iter().all(in_texture);
        let allocate = |(layer, state): (usize, &State)| {
            let name = |what: &str| format!("blk.{layer}.{what}");
            let mut rows = |what: &str, heads: u32, stride: u32| {
                let row = u64::from(heads) * u64::from(stride) * 16;
                let bytes = row.saturating_mul(sequences as u64).saturating_mul(capacity as u64);
                check_binding(executor, texture, bytes, [sequences, capacity])?;
                Ok::<_, Error>(executor.alloc_in(texture, bytes, Role::Kv, &name(what))?)
            };
            Ok(match *state {
                State::Kv { heads, key, value } => {
                    let key_stride = row_stride(key, formats[0])?;
                    let value_stride = value.map_or(Ok(key_stride), |value| row_stride(value, formats[1]))?;
                    LayerState::Kv {
                        keys: rows("keys", heads, key_stride)?,
                        values: value.map(|_| rows("values", heads, value_stride)).transpose()?,
                        strides: [key_stride, value_stride],
                    }
                }
                State::Recurrent { bytes } => {
                    let stride = bytes.next_multiple_of(256);
                    let all = stride.saturating_mul(sequences as u64 - 1).saturating_add(bytes);
                    LayerState::Recurrent {
                        states: executor.alloc(all, Role::Kv, &name("state"))?,
                        bytes,
                        stride,
                    }
                }
            })
        };
        let layers = states.iter().enumerate().map(allocate).collect::<Result<_, Error>>()?;
        Ok(Self { layers, formats, sequences, capacity, texture })
    }

    /// Rows of a head: the positions of all sequences.
    pub(crate) fn rows(&self) -> u32 {
        dim32(self.sequences * self.capacity)
    }

    /// Keys and values of a layer with attention.
    ///
    /// # Panics
    /// If the layer is recurrent: it then asks for another state than it declared.
    pub(crate) fn kv(&self, layer: usize) -> KvLayer {
        let LayerState::Kv { keys, values, strides } = &self.layers[layer] else {
            panic!("layer {layer} declared no keys and values");
        };
        let values = values.as_ref().unwrap_or(keys).all();
        KvLayer { keys: keys.all(), values, strides: *strides }
    }

    /// The state of a recurrent layer after the tokens of a sequence.
    ///
    /// # Panics
    /// If the layer has keys and values: it then asks for another state than it declared.
    pub(crate) fn recurrent(&self, layer: usize, sequence: usize) -> Slice {
        self.layers[layer].recurrent(sequence).expect("the layer declared a recurrent state")
    }

    /// The states of all recurrent layers after the tokens of a sequence.
    pub(crate) fn recurrent_states(&self, sequence: usize) -> impl Iterator<Item = Slice> {
        self.layers.iter().filter_map(move |layer| layer.recurrent(sequence))
    }

    /// Bytes allocated.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let of = |layer: &LayerState| match layer {
            LayerState::Kv { keys, values, .. } => keys.bytes() + values.as_ref().map_or(0, Buffer::bytes),
            LayerState::Recurrent { states, .. } => states.bytes(),
        };
        self.layers.iter().map(of).sum()
    }
}

/// Refuses keys or values of one layer that one binding cannot hold.
fn check_binding(
    executor: &dyn Executor,
    texture: bool,
    bytes: u64,
    [sequences, capacity]: [usize; 2],
) -> Result<(), Error> {
    let limit = executor.caps().largest(texture);
    if bytes <= limit {
        return Ok(());
    }
    let (label, what) = match sequences {
        1 => (
            format!("key/value cache of {capacity} positions"),
            "one layer's keys or values in one binding; use a smaller context",
        ),
        _ => (
            format!("key/value cache of {sequences} sequences of {capacity} positions"),
            "one layer's keys or values in one binding; use a smaller context or fewer sequences",
        ),
    };
    Err(ridgeline_compute::Error::Limit { label, bytes, limit, what }.into())
}

/// Vec4 words per row of a head of `width` values, or an error if the quantization type cannot store one.
fn row_stride(width: u32, format: Format) -> Result<u32, Error> {
    let width = width as usize;
    let fits = |f: &&Format| f.spec().kv_block.is_some_and(|unit| width.is_multiple_of(unit));
    if fits(&&format) {
        return Ok(ridgeline_kernels::stride(format, width));
    }
    let names: Vec<_> = Format::ALL.iter().filter(fits).map(|f| f.spec().name).collect();
    let supported = format!("{}, whose blocks divide its heads of {width} values", names.join(", "));
    Err(Error::CacheFormat { format: format.spec().name, supported })
}
