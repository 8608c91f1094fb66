//! Unfused attention, step 3 of 3: the weighted sum of values.

use crate::common::{bytes4, cache_formats, device_bytes, without_sums, format_bytes, random_rows, to_u32, with_format};
use crate::attention_shape::AttentionShape;
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// out\[t, h\] = Σ_p weights\[t, h, p\] · v\[h / group, p\] over p up to `position` + t. Values are in a buffer or
    /// in a `texture`.
    pub struct AttnValues("attn_values") { cache: Format, workgroup_size: u32, texture: bool }
    params { n_tokens: u32, n_heads: u32, head_dim: u32, group: u32, capacity: u32, position: u32, stride: u32 }
    bindings { weights: read array<f32>, values: read array<vec4<u32>>, out: write array<vec4<f32>> }
}

impl Kernel for AttnValues {
    fn all(_caps: &Caps) -> Vec<Self> {
        let with = |cache| [false, true].map(|texture| Self { cache, workgroup_size: 64, texture });
        cache_formats().flat_map(with).collect()
    }
    fn defines(&self) -> Defines {
        with_format(without_sums(self.workgroup_size), "cache_file", self.cache).value("TEXTURE", self.texture)
    }
    fn in_texture(&self, binding: &str) -> bool {
        self.texture && binding == "values"
    }
    fn groups(&self, p: &Params) -> u64 {
        (heads(p).query_values() / 4).div_ceil(u64::from(self.workgroup_size))
    }
    fn flops(&self, p: &Params) -> u64 {
        heads(p).scores() * 2 * u64::from(p.head_dim)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let values = format_bytes(self.cache, heads(p).rows_read(), p.head_dim);
        Bytes { weights: bytes4(heads(p).scores()), values, out: bytes4(heads(p).query_values()) }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let values = device_bytes(heads(p).rows_required(), p.stride);
        Bytes { weights: bytes4(weight_values(p)), values, out: bytes4(heads(p).query_values()) }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let AttentionShape { n_tokens, n_heads, head_dim, group, capacity, position, stride } = AttentionShape::sample(rng, self.cache);
        let params = Params { n_tokens, n_heads, head_dim, group, capacity, position, stride };
        let weights = rng.words(to_u32(weight_values(&params)) as usize);
        let values = random_rows(rng, self.cache, to_u32(heads(&params).rows_required()), head_dim);
        TestInput { params, bindings: vec![weights, values, vec![]] }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the twin rounds once, at the end")]
    fn reference(&self, p: &Params, host: Host<'_>) {
        let context = (p.position + p.n_tokens) as usize;
        let queries = host.weights.chunks_exact(context).zip(host.out.chunks_exact_mut(p.head_dim as usize));
        for (query, (weights, out)) in queries.enumerate() {
            let values = heads(p).rows(query, self.cache, host.values);
            for (i, out) in out.iter_mut().enumerate() {
                let terms = weights.iter().zip(&values).map(|(&w, v)| f64::from(w) * f64::from(v[i]));
                *out = terms.sum::<f64>() as f32;
            }
        }
    }
}

const fn heads(p: &Params) -> AttentionShape {
    let &Params { n_tokens, n_heads, head_dim, group, capacity, position, stride } = p;
    AttentionShape { n_tokens, n_heads, head_dim, group, capacity, position, stride }
}

fn weight_values(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.n_heads) * heads(p).context()
}
