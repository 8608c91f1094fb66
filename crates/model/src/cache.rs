//! The key/value cache: two buffers per layer, the positions of one head together.

use crate::{Config, Error};
use ridgeline_compute::{Buffer, Executor, Role};
use ridgeline_quant::Format;

/// Keys and values of one sequence. Row (head · capacity + position) of a buffer holds `head_dim` values in the
/// device layout of `format`.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<(Buffer, Buffer)>,
    /// Number format of keys and values.
    pub format: Format,
    /// Positions it can hold.
    pub capacity: usize,
    pub(crate) stride: u32,
}

impl KvCache {
    /// Allocates the cache.
    ///
    /// # Errors
    /// A format that cannot hold keys and values, or a device too small.
    pub fn new(
        executor: &mut dyn Executor,
        config: &Config,
        format: Format,
        capacity: usize,
    ) -> Result<Self, Error> {
        let unit = format.spec().kv_block.filter(|unit| config.head_dim.is_multiple_of(*unit));
        if unit.is_none() {
            let fits = |f: &&Format| f.spec().kv_block.is_some_and(|u| config.head_dim.is_multiple_of(u));
            let names: Vec<_> = Format::ALL.iter().filter(fits).map(|f| f.spec().name).collect();
            return Err(Error::CacheFormat { format: format.spec().name, supported: names.join(", ") });
        }
        let stride = ridgeline_kernels::stride(format, config.head_dim);
        let row = config.kv_heads as u64 * u64::from(stride) * 16;
        let bytes = row.saturating_mul(capacity as u64);
        let limit = executor.caps().max_binding;
        if bytes > limit {
            let label = format!("key/value cache of {capacity} positions");
            let what = "one layer's keys in one binding; use a smaller context (-c)";
            return Err(ridgeline_compute::Error::Limit { label, bytes, limit, what }.into());
        }
        let mut alloc = |what: &str, l: usize| executor.alloc(bytes, Role::Kv, &format!("blk.{l}.{what}"));
        let layer = |l| Ok((alloc("keys", l)?, alloc("values", l)?));
        let layers = (0..config.layers).map(layer).collect::<Result<_, ridgeline_compute::Error>>()?;
        Ok(Self { layers, format, capacity, stride })
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
