//! Helpers of several kernels: reductions, quantization types in templates, host-side rows and sizes.

use ridgeline_compute::{Caps, Defines, TestRng};
use ridgeline_quant::Format;

/// How invocations are summed. A *reduction group* is the set of invocations that share one sum: a subgroup or the
/// workgroup.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduce {
    /// Subgroup operations. A reduction group is a subgroup. Sums within it need no barrier, sums over the workgroup do.
    Subgroup,
    /// Workgroup memory and barriers, for devices without subgroups. The reduction group is the workgroup.
    Workgroup,
    /// Split-K: the reduction group is the workgroup, whose subgroups each sum a part of the columns. For mat-vecs with
    /// few rows.
    SplitK,
}

impl Reduce {
    /// The general reductions for this device, fastest first. [`Self::SplitK`] is not one, because only mat-vecs support it.
    #[must_use]
    pub fn all(caps: &Caps) -> &'static [Self] {
        if caps.subgroup.is_some() { &[Self::Subgroup, Self::Workgroup] } else { &[Self::Workgroup] }
    }

    /// Estimated number of reduction groups in a workgroup of `workgroup_size` invocations. It is an estimate, because
    /// drivers report the subgroup size as a range.
    pub(crate) fn groups_per_workgroup(self, caps: &Caps, workgroup_size: u32) -> u32 {
        match (self, caps.subgroup) {
            (Self::Subgroup, Some((smallest, largest))) => {
                // Where the size is a range, the driver picks one for each kernel: Intel picks from 8 to 32. If the count is
                // too high, each subgroup loops over several blocks. If it is too low, some subgroups are idle, which is worse.
                let size = if smallest == largest { smallest } else { smallest.max(8) };
                (workgroup_size / size).max(1)
            }
            _ => 1,
        }
    }

    /// Adds the include of this reduction.
    pub(crate) fn define(self, defines: Defines) -> Defines {
        let file = match self {
            Self::Subgroup => "reduce/subgroup.wgsl",
            Self::Workgroup => "reduce/workgroup.wgsl",
            Self::SplitK => "reduce/split_k.wgsl",
        };
        defines.value("reduce", file)
    }
}

/// Defines of a kernel that does not use the shared sum functions.
pub(crate) fn without_sums(workgroup_size: u32) -> Defines {
    Defines::new(workgroup_size).value("reduce", "reduce/none.wgsl")
}

/// Adds the include of a quantization type under `key`, and the constants of its `unpack`.
///
/// A *chunk* is the `UNPACK_LEN` values of one `unpack` call: `RUNS` runs of consecutive columns, which begin `STEP`
/// columns apart. `CHUNKS_PER_HEADER` chunks share one header of scales.
pub(crate) fn with_format(defines: Defines, key: &str, format: Format) -> Defines {
    let spec = format.spec();
    defines
        .value(key, spec.wgsl)
        .u32("UNPACK_LEN", to_u32(spec.unpack_len))
        .u32("RUNS", to_u32(spec.runs))
        .u32("STEP", to_u32(spec.run_step))
        .u32("CHUNKS_PER_HEADER", to_u32(spec.chunks_per_header))
}

/// Whether a kernel looks up the levels of a quantization type in workgroup memory: the choices, the default first.
///
/// A lookup gives the same value as the computation. Software adapters compute levels, because workgroup memory and its
/// barrier are slower there.
pub(crate) fn tables(format: Format, caps: &Caps) -> &'static [bool] {
    if format.spec().has_table && !caps.software { &[true, false] } else { &[false] }
}

/// Bytes of workgroup memory of a table of levels.
pub(crate) const fn table_bytes(table: bool) -> u32 {
    if table { 4 * 16 } else { 0 }
}

/// Names the weight bindings whose levels are in a table, see `shared/level_table.wgsl`.
pub(crate) fn with_tables<const N: usize>(defines: Defines, bindings: [(&'static str, bool); N]) -> Defines {
    let names: Vec<&str> = bindings.into_iter().filter(|it| it.1).map(|it| it.0).collect();
    defines.value("tables", names)
}

/// A size as `u32`, the type of kernel parameters.
pub(crate) fn to_u32(n: impl TryInto<u32>) -> u32 {
    n.try_into().ok().expect("a kernel size fits 32 bits")
}

/// Vec4s (16 bytes) in one *device row*, a row of `cols` values packed for the device. It is the `stride` parameter of
/// kernels that read rows.
#[must_use]
pub fn stride(format: Format, cols: usize) -> u32 {
    to_u32((format.spec().row_words)(cols) / 4)
}

/// Bytes of `rows` encoded rows of `cols` values, without padding.
pub(crate) fn format_bytes(format: Format, rows: u64, cols: u32) -> u64 {
    rows * format.bytes(u64::from(cols))
}

/// Bytes that `rows` device rows occupy, padding included.
pub(crate) fn device_bytes(rows: u64, stride: u32) -> u64 {
    rows * u64::from(stride) * 16
}

/// Decodes row `index` of a matrix in the plain layout into `row`.
pub(crate) fn decode_row(format: Format, words: &[u32], index: u32, stride: u32, row: &mut [f32]) {
    let first = index as usize * stride as usize * 4;
    let len = (format.spec().row_words)(row.len());
    (format.spec().decode_row)(&words[first..first + len], row);
}

/// Encodes and packs values into one device row.
pub(crate) fn encode_row(format: Format, values: &[f32], words: &mut [u32]) {
    let spec = format.spec();
    let mut bytes = vec![0; values.len() / spec.block_len * spec.block_bytes];
    let encode = spec.encode.expect("every quantization type of the KV cache has an encoder");
    encode(values, &mut bytes);
    (spec.pack_row)(&bytes, &mut words[..(spec.row_words)(values.len())]);
}

/// Random device rows for twin tests: random bits as quants, scales of ordinary size.
pub(crate) fn random_rows(rng: &mut TestRng, format: Format, rows: u32, cols: u32) -> Vec<u32> {
    let spec = format.spec();
    let stride = stride(format, cols as usize) as usize * 4;
    let mut bytes = vec![0; cols as usize / spec.block_len * spec.block_bytes];
    let mut words = vec![0; rows as usize * stride];
    for row in words.chunks_exact_mut(stride) {
        bytes.chunks_mut(8).for_each(|b| b.copy_from_slice(&rng.bits().to_le_bytes()[..b.len()]));
        (spec.bound_scales)(&mut bytes);
        (spec.pack_row)(&bytes, row);
    }
    words
}

/// Bytes of `n` 32-bit values.
pub(crate) fn bytes4(n: u64) -> u64 {
    4 * n
}

/// The dot product, accumulated in f64 and rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
}

/// Whether the KV cache can store heads of `head` values in `format`.
pub(crate) fn fits_cache(format: Format, head: u32) -> bool {
    format.spec().kv_block.is_some_and(|block| (head as usize).is_multiple_of(block))
}

/// A random head width that `format` can store.
pub(crate) fn random_head(rng: &mut TestRng, format: Format) -> u32 {
    let heads: Vec<u32> = [16, 32, 64, 80, 96].into_iter().filter(|&head| fits_cache(format, head)).collect();
    rng.pick(&heads)
}

/// The quantization types of the KV cache.
pub(crate) fn cache_formats() -> impl Iterator<Item = Format> + Clone {
    Format::ALL.iter().copied().filter(|f| f.spec().kv_block.is_some())
}
