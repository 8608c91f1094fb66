//! Fused attention by one subgroup of eight lanes, without workgroup memory: for software adapters.

use crate::attention_shape::{HeadShape, Loops, SHAPES, define_heads, define_masked};
use crate::attention::{self, Attention, queries};
use crate::common::{Reduce, cache_formats, without_sums, to_u32, with_format};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// Computes the same as [`Attention`], with the same parameters and KV splits, for widths that are multiples of 32.
    /// [`Attention`] shares data in workgroup memory. Here eight lanes share registers by `subgroupBroadcast`, because on a
    /// software adapter workgroup memory is as slow as any other. Keys and values are in textures.
    pub struct AttentionSimd("attention_simd") { keys: Format, values: Format, shape: HeadShape, heads: u32, tokens: u32 }
    params {
        n_tokens: u32, token0: u32, n_heads: u32, capacity: u32, end: u32, visible: u32, unique: u32, key_stride: u32,
        value_stride: u32, ld: u32, kv_splits: u32, split_len: u32, scale: f32,
    }
    bindings {
        q: read array<vec4<f32>>, keys: read array<vec4<u32>>, values: read array<vec4<u32>>,
        tokens: read array<vec4<u32>>, out: write array<vec4<f32>>,
    }
}

/// Invocations of a workgroup. The subgroup must be at least this large.
const WORKGROUP_SIZE: u32 = 8;

/// Most values of queries and outputs in the registers of a workgroup: eight query rows of two times 256 values.
const MAX_VALUES: u32 = 8 * 512;

impl AttentionSimd {
    /// The variants for a shape, by tokens per workgroup, most first. None where subgroups are missing or may have fewer
    /// than eight lanes, or where eight lanes cannot share a head evenly.
    pub(crate) fn variants(cache: [Format; 2], shape: HeadShape, caps: &Caps) -> Vec<Self> {
        let [keys, values] = cache;
        let subgroups = caps.subgroup.is_some_and(|(least, _)| least >= WORKGROUP_SIZE);
        let even = shape.key.is_multiple_of(32) && shape.value.is_multiple_of(32);
        if !subgroups || !even || !shape.fits(cache) {
            return Vec::new();
        }
        let fits = |heads: u32, tokens: u32| heads * tokens * (shape.key + shape.value) <= MAX_VALUES;
        let heads = shape.parts().find(|&heads| fits(heads, 1)).unwrap_or(1);
        let tokens = queries(heads).rev().filter(|&tokens| tokens == 1 || fits(heads, tokens));
        tokens.map(|tokens| Self { keys, values, shape, heads, tokens }).collect()
    }

    /// The workgroup kernel that computes the same.
    const fn workgroup_kernel(self) -> Attention {
        let Self { keys, values, shape, heads, tokens } = self;
        let (reduce, loops) = (Reduce::Workgroup, Loops::Plain);
        Attention { keys, values, reduce, workgroup_size: 64, shape, heads, tokens, loops }
    }
}

impl Kernel for AttentionSimd {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for keys in cache_formats() {
            all.extend(SHAPES.into_iter().flat_map(|shape| Self::variants([keys; 2], shape, caps)));
            for values in cache_formats().filter(|values| *values != keys) {
                all.extend(Self::variants([keys, values], HeadShape::of_width(64, 4), caps).last());
            }
        }
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(define_masked(without_sums(WORKGROUP_SIZE)), "keys_file", self.keys);
        let values = self.values.spec();
        let d = d.value("values_file", values.wgsl).u32("VALUES_UNPACK_LEN", to_u32(values.unpack_len));
        define_heads(d, self.shape, [self.heads, self.tokens])
    }
    fn in_texture(&self, binding: &str) -> bool {
        binding == "keys" || binding == "values"
    }
    fn groups(&self, p: &Params) -> u64 {
        self.workgroup_kernel().groups(&attention_params(p))
    }
    fn flops(&self, p: &Params) -> u64 {
        self.workgroup_kernel().flops(&attention_params(p))
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let attention::Bytes { q, keys, values, tokens, out } = self.workgroup_kernel().traffic(&attention_params(p));
        Bytes { q, keys, values, tokens, out }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let attention::Bytes { q, keys, values, tokens, out } = self.workgroup_kernel().min_binding_size(&attention_params(p));
        Bytes { q, keys, values, tokens, out }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let TestInput { params, bindings } = self.workgroup_kernel().test_input(rng);
        TestInput { params: bytemuck::cast(params), bindings }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let Host { q, keys, values, tokens, out, _life } = host;
        self.workgroup_kernel().reference(&attention_params(p), attention::Host { q, keys, values, tokens, out, _life });
    }
}

fn attention_params(p: &Params) -> attention::Params {
    bytemuck::cast(*p)
}
