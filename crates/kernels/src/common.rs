//! What several kernels share: reductions, number formats in templates, host-side rows and sizes.

use ridgeline_compute::{Caps, Defines, TestRng};
use ridgeline_quant::Format;

/// How lanes add up: within subgroups, or through workgroup memory on devices without them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reduce {
    /// Subgroup operations; reduction groups are subgroups.
    Subgroup,
    /// Workgroup memory and barriers; the team is the workgroup.
    Workgroup,
    /// Both; the team is the workgroup, whose subgroups split what it sums. Products of few rows alone come so.
    SplitK,
}

impl Reduce {
    /// The reductions a device can run, the better one first.
    #[must_use]
    pub fn all(caps: &Caps) -> &'static [Self] {
        if caps.subgroup.is_some() { &[Self::Subgroup, Self::Workgroup] } else { &[Self::Workgroup] }
    }

    /// Teams in a workgroup of so many lanes.
    pub(crate) fn groups_per_workgroup(self, caps: &Caps, lanes: u32) -> u32 {
        match (self, caps.subgroup) {
            (Self::Subgroup, Some((smallest, largest))) => {
                // Where the size is not fixed, drivers pick 16 or more: Intel's 16 of 8 to 32. Too few reduction groups only loop, but
                // reduction groups for which there is no block are idle.
                let size = if smallest == largest { smallest } else { smallest.max(16) };
                (lanes / size).max(1)
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

/// Defines of a kernel that reduces nothing.
pub(crate) fn elementwise(lanes: u32) -> Defines {
    Defines::new(lanes).value("reduce", "reduce/none.wgsl")
}

/// Adds a number format's include under `key`, its part's size, runs and their distance as `UNPACK_LEN`, `RUNS` and `STEP`,
/// and the parts of a head as `CHUNKS_PER_HEADER`.
pub(crate) fn with_format(defines: Defines, key: &str, format: Format) -> Defines {
    let spec = format.spec();
    defines
        .value(key, spec.wgsl)
        .u32("UNPACK_LEN", small(spec.unpack_len))
        .u32("RUNS", small(spec.runs))
        .u32("STEP", small(spec.run_step))
        .u32("CHUNKS_PER_HEADER", small(spec.chunks_per_header))
}

/// A size that the kernel's parameter block holds as `u32`.
pub(crate) fn small(n: impl TryInto<u32>) -> u32 {
    n.try_into().ok().expect("kernel sizes fit 32 bits")
}

/// Vec4 words of one device row of `cols` values: the `stride` parameter of the kernels that read rows.
#[must_use]
pub fn stride(format: Format, cols: usize) -> u32 {
    small((format.spec().row_words)(cols) / 4)
}

/// Unique bytes of `rows` rows of `cols` values: those of the number format, not the row padding.
pub(crate) fn format_bytes(format: Format, rows: u64, cols: u32) -> u64 {
    rows * format.bytes(u64::from(cols))
}

/// Bytes that `rows` device rows occupy.
pub(crate) fn device_bytes(rows: u64, stride: u32) -> u64 {
    rows * u64::from(stride) * 16
}

/// Decodes device row `index` of plain rows into `row`.
pub(crate) fn decode_row(format: Format, words: &[u32], index: u32, stride: u32, row: &mut [f32]) {
    let first = index as usize * stride as usize * 4;
    let len = (format.spec().row_words)(row.len());
    (format.spec().decode_row)(&words[first..first + len], row);
}

/// Encodes and packs values into one device row.
pub(crate) fn encode_row(format: Format, values: &[f32], words: &mut [u32]) {
    let spec = format.spec();
    let mut bytes = vec![0; values.len() / spec.block_len * spec.block_bytes];
    let encode = spec.encode.expect("formats that tests and caches store can be encoded");
    encode(values, &mut bytes);
    (spec.pack_row)(&bytes, &mut words[..(spec.row_words)(values.len())]);
}

/// Random device rows for twin tests: any bits for quants, ordinary scales.
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

/// The dot product in f64, rounded once.
#[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
}

/// Whether cache rows of `head` values can be stored in the format.
pub(crate) fn fits_cache(format: Format, head: u32) -> bool {
    format.spec().kv_block.is_some_and(|block| (head as usize).is_multiple_of(block))
}

/// A random width of cache rows.
pub(crate) fn random_head(rng: &mut TestRng, format: Format) -> u32 {
    let heads: Vec<u32> = [16, 32, 64, 80, 96].into_iter().filter(|&head| fits_cache(format, head)).collect();
    rng.pick(&heads)
}

/// Formats that may hold keys and values.
pub(crate) fn cache_formats() -> impl Iterator<Item = Format> + Clone {
    Format::ALL.iter().copied().filter(|f| f.spec().kv_block.is_some())
}
