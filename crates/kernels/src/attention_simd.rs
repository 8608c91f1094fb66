//! Fused causal attention by one subgroup of eight lanes, without workgroup memory: for software adapters.

use crate::attention_shape::define_masked;
use crate::attention::{self, Attention, SHAPES, queries};
use crate::common::{Reduce, cache_formats, without_sums, fits_cache, to_u32, with_format};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// Computes the same as [`Attention`], with the same parameters and KV splits, for a `head` that is a multiple of 32.
    /// [`Attention`] shares data in workgroup memory. Here eight lanes share registers by `subgroupBroadcast`, because on a
    /// software adapter workgroup memory is as slow as any other. Keys and values are in textures.
    pub struct AttentionSimd("attention_simd") { keys: Format, values: Format, head: u32, group: u32, tokens: u32 }
    params {
        n_tokens: u32, n_heads: u32, capacity: u32, position: u32, key_stride: u32, value_stride: u32, ld: u32,
        split_len: u32, scale: f32,
    }
    bindings {
        q: read array<vec4<f32>>, keys: read array<vec4<u32>>, values: read array<vec4<u32>>,
        out: write array<vec4<f32>>,
    }
}

/// Invocations of a workgroup. The subgroup must be at least this large.
const WORKGROUP_SIZE: u32 = 8;

impl AttentionSimd {
    /// The variant for `tokens` queries per workgroup. `None` where subgroups are missing or may have fewer than eight
    /// lanes, or where eight lanes cannot share a head evenly.
    #[must_use]
    pub fn new(cache: [Format; 2], head: u32, group: u32, tokens: u32, caps: &Caps) -> Option<Self> {
        let [keys, values] = cache;
        let subgroups = caps.subgroup.is_some_and(|(least, _)| least >= WORKGROUP_SIZE);
        let fits = head.is_multiple_of(32) && cache.iter().all(|format| fits_cache(*format, head));
        (subgroups && fits).then_some(Self { keys, values, head, group, tokens })
    }

    /// The workgroup kernel that computes the same.
    const fn workgroup_kernel(self) -> Attention {
        let Self { keys, values, head, group, tokens } = self;
        Attention { keys, values, reduce: Reduce::Workgroup, workgroup_size: 64, head, group, tokens }
    }
}

impl Kernel for AttentionSimd {
    fn all(caps: &Caps) -> Vec<Self> {
        let mut all = Vec::new();
        for keys in cache_formats() {
            for (head, group) in SHAPES {
                all.extend(queries(group).filter_map(|tokens| Self::new([keys; 2], head, group, tokens, caps)));
            }
            for values in cache_formats().filter(|values| *values != keys) {
                all.extend(Self::new([keys, values], 64, 4, 1, caps));
            }
        }
        all
    }
    fn defines(&self) -> Defines {
        let d = with_format(define_masked(without_sums(WORKGROUP_SIZE)), "keys_file", self.keys);
        let values = self.values.spec();
        let d = d.value("values_file", values.wgsl).u32("VALUES_UNPACK_LEN", to_u32(values.unpack_len));
        let d = d.u32("HEAD", self.head).u32("GROUP", self.group).u32("TOKENS", self.tokens);
        d.u32("ROWS", self.group * self.tokens)
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
        let attention::Bytes { q, keys, values, out } = self.workgroup_kernel().traffic(&attention_params(p));
        Bytes { q, keys, values, out }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let attention::Bytes { q, keys, values, out } = self.workgroup_kernel().min_binding_size(&attention_params(p));
        Bytes { q, keys, values, out }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let TestInput { params, bindings } = self.workgroup_kernel().test_input(rng);
        TestInput { params: bytemuck::cast(params), bindings }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let Host { q, keys, values, out, _life } = host;
        self.workgroup_kernel().reference(&attention_params(p), attention::Host { q, keys, values, out, _life });
    }
}

fn attention_params(p: &Params) -> attention::Params {
    bytemuck::cast(*p)
}
