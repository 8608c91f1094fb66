//! The key/value cache: two buffers per layer. Within a buffer, the positions of a head are contiguous.

use crate::config::dim32;
use crate::{Config, Error};
use ridgeline_compute::{Buffer, Executor, Role};
use ridgeline_kernels::{HeadShape, cache_in_texture};
use ridgeline_quant::Format;

/// Keys and values of one sequence. Row (head · capacity + position) of a buffer holds `head_dim` values in the device
/// layout of its quantization type.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<(Buffer, Buffer)>,
    /// Quantization types of the keys and of the values.
    pub formats: [Format; 2],
    /// Number of positions.
    pub capacity: usize,
    /// Vec4 words per row of keys and of values.
    pub(crate) strides: [u32; 2],
    /// Whether the buffers are textures.
    pub(crate) texture: bool,
}

impl KvCache {
    /// Allocates the cache.
    ///
    /// # Errors
    /// A quantization type that cannot store a head, or a device too small.
    pub fn new(
        executor: &mut dyn Executor,
        config: &Config,
        formats: [Format; 2],
        capacity: usize,
    ) -> Result<Self, Error> {
        let strides = [row_stride(config, formats[0])?, row_stride(config, formats[1])?];
        let [head, group] = [config.head_dim, config.group()].map(dim32);
        let texture = cache_in_texture(formats, HeadShape::of_width(head, group), executor.caps());
        let limit = executor.caps().largest(texture);
        let bytes = strides.map(|stride| {
            let row = config.kv_heads as u64 * u64::from(stride) * 16;
            row.saturating_mul(capacity as u64)
        });
        let most = bytes[0].max(bytes[1]);
        if most > limit {
            let label = format!("key/value cache of {capacity} positions");
            let what = "one layer's keys or values in one binding; use a smaller context";
            return Err(ridgeline_compute::Error::Limit { label, bytes: most, limit, what }.into());
        }
        let mut alloc = |what: &str, bytes: u64, l: usize| {
            executor.alloc_in(texture, bytes, Role::Kv, &format!("blk.{l}.{what}"))
        };
        let layer = |l| Ok((alloc("keys", bytes[0], l)?, alloc("values", bytes[1], l)?));
        let layers = (0..config.layers).map(layer).collect::<Result<_, ridgeline_compute::Error>>()?;
        Ok(Self { layers, formats, capacity, strides, texture })
    }

    pub(crate) fn keys(&self, layer: usize) -> &Buffer {
        &self.layers[layer].0
    }

    pub(crate) fn values(&self, layer: usize) -> &Buffer {
        &self.layers[layer].1
    }

    /// Bytes allocated.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|(k, v)| k.bytes() + v.bytes()).sum()
    }
}

/// Vec4 words per row of one head, or an error if the quantization type cannot store one.
fn row_stride(config: &Config, format: Format) -> Result<u32, Error> {
    let fits = |f: &&Format| f.spec().kv_block.is_some_and(|unit| config.head_dim.is_multiple_of(unit));
    if fits(&&format) {
        return Ok(ridgeline_kernels::stride(format, config.head_dim));
    }
    let names: Vec<_> = Format::ALL.iter().filter(fits).map(|f| f.spec().name).collect();
    Err(Error::CacheFormat { format: format.spec().name, supported: names.join(", ") })
}
