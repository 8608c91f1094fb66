//! Fused bias, QK-norm, RoPE and KV cache append, in one launch between the QKV projection and attention.

use crate::common::{Reduce, bytes4, cache_formats, device_bytes, encode_row, format_bytes, random_head, stride, with_format};
use crate::row_norm::rms_norm;
use crate::rope::{Pairing, rotate};
use crate::token_info::{TestTokens, TokenInfo, tokens};
use ridgeline_compute::wgsl::{array, vec4};
use ridgeline_compute::{Bindings, Caps, Defines, Kernel, TestInput, TestRng, kernel};
use ridgeline_quant::Format;

kernel! {
    /// Splits rows of qkv \[n_tokens, ld\], which hold \[n_heads + 2 · kv_heads, head_dim\]. The rotated queries go to
    /// q \[n_tokens, n_heads, head_dim\]. The rotated keys and the values go to rows (head · capacity + row) of the KV cache.
    /// The rotation is that of [`Rope`](crate::rope::Rope). Row and position of token t are in tokens\[token0 + t\]
    /// ([`TokenInfo`]). They are below `end` and below `positions`.
    ///
    /// First, `with.bias` adds `bias` \[n_heads + 2 · kv_heads, head_dim\] to every row. Then `with.norm` applies
    /// [`QkNorm`](crate::qk_norm::QkNorm) with `eps` to heads of queries and keys. A binding that the variant does not use
    /// is not read. Any slice of a buffer that the launch does not write can be bound there.
    ///
    /// A workgroup processes `heads` heads, each by one reduction group. The cache is in buffers or in `texture`s. Strides
    /// count vec4s per row. [`RopeAppend::takes`] limits the widths, and `ld` is a multiple of 4.
    pub struct RopeAppend("rope_append") {
        keys: Format, values: Format, pairing: Pairing, with: QkNormBias, reduce: Reduce, workgroup_size: u32, heads: u32,
        texture: bool,
    }
    params {
        n_tokens: u32, token0: u32, n_heads: u32, kv_heads: u32, head_dim: u32, rotary: u32, positions: u32, capacity: u32,
        end: u32, ld: u32, key_stride: u32, value_stride: u32, eps: f32,
    }
    bindings {
        qkv: read array<vec4<f32>>, bias: read array<vec4<f32>>, gains: read array<vec4<f32>>,
        table: read array<vec4<f32>>, tokens: read array<vec4<u32>>, q: write array<vec4<f32>>,
        keys: write array<vec4<u32>>, values: write array<vec4<u32>>,
    }
}

/// Optional steps between the QKV projection and the rotation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct QkNormBias {
    /// Add a bias to queries, keys and values.
    pub bias: bool,
    /// Apply QK-norm to heads of queries and keys.
    pub norm: bool,
}

impl RopeAppend {
    /// The kernel for a cache in buffers, on a device with `caps`.
    #[must_use]
    pub fn new(caps: &Caps, [keys, values]: [Format; 2], pairing: Pairing, with: QkNormBias) -> Self {
        let (reduce, workgroup_size) = (Reduce::all(caps)[0], 64);
        let heads = reduce.groups_per_workgroup(caps, workgroup_size);
        Self { keys, values, pairing, with, reduce, workgroup_size, heads, texture: false }
    }

    /// Whether the kernel can run: heads of `head_dim` values and both halves of `rotary` must be whole vec4s. The device
    /// must allow its number of bindings.
    #[must_use]
    pub const fn takes(head_dim: u32, rotary: u32, caps: &Caps) -> bool {
        let binds = caps.max_storage_buffers as usize >= <Self as Bindings>::BINDINGS.len();
        binds && head_dim.is_multiple_of(4) && rotary.is_multiple_of(8)
    }

    fn bias_bytes(&self, p: &Params) -> u64 {
        if self.with.bias { bytes4(u64::from(p.n_heads + 2 * p.kv_heads) * u64::from(p.head_dim)) } else { 0 }
    }

    fn gain_bytes(&self, p: &Params) -> u64 {
        if self.with.norm { bytes4(2 * u64::from(p.head_dim)) } else { 0 }
    }
}

impl Kernel for RopeAppend {
    fn all(caps: &Caps) -> Vec<Self> {
        let pairs = cache_formats().flat_map(|keys| cache_formats().map(move |values| [keys, values]));
        let pairings = [Pairing::Interleaved, Pairing::HalfSplit];
        let plain = Self::new(caps, [Format::HALF; 2], Pairing::HalfSplit, QkNormBias::default());
        let buffers = pairs.flat_map(|[keys, values]| pairings.map(|pairing| Self { keys, values, pairing, ..plain }));
        // The encoder does not depend on the kind of binding, on bias or on norm. These do not depend on the cache type. So a
        // few combinations cover the code.
        let per_format = cache_formats().map(|format| Self { keys: format, values: format, ..plain });
        let textures = per_format.clone().map(|it| Self { texture: true, ..it });
        let both = per_format.map(|it| Self { with: QkNormBias { bias: true, norm: true }, ..it });
        let qk_norm_bias = [(true, false), (false, true), (true, true)].map(|(bias, norm)| QkNormBias { bias, norm });
        let rotated = qk_norm_bias.map(|with| Self { pairing: Pairing::Interleaved, with, ..plain });
        let stored = qk_norm_bias.map(|with| Self { texture: true, with, ..plain });
        let with_workgroup_reduce = qk_norm_bias.into_iter().chain([QkNormBias::default()]);
        let with_workgroup_reduce = with_workgroup_reduce.map(|with| Self { reduce: Reduce::Workgroup, heads: 1, with, ..plain });
        buffers.chain(textures).chain(both).chain(rotated).chain(stored).chain(with_workgroup_reduce).collect()
    }
    fn defines(&self) -> Defines {
        let d = with_format(self.reduce.define(Defines::new(self.workgroup_size)), "keys_file", self.keys);
        let d = d.value("values_file", self.values.spec().wgsl).value("TEXTURE", self.texture);
        let d = d.u32("PAIR_STEP", self.pairing.step()).u32("BLOCKS", self.heads);
        d.value("BIAS", self.with.bias).value("NORM", self.with.norm)
    }
    fn in_texture(&self, binding: &str) -> bool {
        self.texture && (binding == "keys" || binding == "values")
    }
    fn groups(&self, p: &Params) -> u64 {
        (u64::from(p.n_tokens) * u64::from(p.n_heads + 2 * p.kv_heads)).div_ceil(u64::from(self.heads))
    }
    fn flops(&self, p: &Params) -> u64 {
        let rotated = u64::from(p.n_heads + p.kv_heads);
        let normalised = if self.with.norm { 4 * rotated * u64::from(p.head_dim) } else { 0 };
        let added = self.bias_bytes(p) / 4;
        u64::from(p.n_tokens) * (3 * rotated * u64::from(p.rotary) + normalised + added)
    }
    fn traffic(&self, p: &Params) -> Bytes {
        let heads = u64::from(p.n_heads + 2 * p.kv_heads);
        Bytes {
            qkv: bytes4(u64::from(p.n_tokens) * heads * u64::from(p.head_dim)),
            bias: self.bias_bytes(p),
            gains: self.gain_bytes(p),
            table: bytes4(u64::from(p.n_tokens) * u64::from(p.rotary)),
            tokens: u64::from(p.n_tokens) * TokenInfo::PLACE_BYTES,
            q: query_bytes(p),
            keys: format_bytes(self.keys, new_rows(p), p.head_dim),
            values: format_bytes(self.values, new_rows(p), p.head_dim),
        }
    }
    fn min_binding_size(&self, p: &Params) -> Bytes {
        let heads = u64::from(p.n_heads + 2 * p.kv_heads);
        let last = u64::from(p.kv_heads - 1) * u64::from(p.capacity) + u64::from(p.end);
        Bytes {
            qkv: bytes4(u64::from(p.n_tokens - 1) * u64::from(p.ld) + heads * u64::from(p.head_dim)),
            bias: self.bias_bytes(p),
            gains: self.gain_bytes(p),
            table: bytes4(u64::from(p.positions) * u64::from(p.rotary)),
            tokens: u64::from(p.token0 + p.n_tokens) * TokenInfo::BYTES,
            q: query_bytes(p),
            keys: device_bytes(last, p.key_stride),
            values: device_bytes(last, p.value_stride),
        }
    }
    fn test_input(&self, rng: &mut TestRng) -> TestInput<Params> {
        let wider = if self.keys.spec().kv_block >= self.values.spec().kv_block { self.keys } else { self.values };
        let head_dim = random_head(rng, wider);
        let (n_tokens, kv_heads, depth) = (rng.range(1, 7), rng.range(1, 3), rng.range(0, 9));
        let tokens = TestTokens::sample(rng, n_tokens, depth);
        let (token0, positions, end) = (tokens.token0, tokens.positions(), tokens.stored_end());
        let n_heads = kv_heads * rng.range(1, 3);
        let rotary = if rng.range(0, 1) == 0 { head_dim } else { head_dim / 2 };
        let capacity = end + rng.range(0, 3);
        let ld = (n_heads + 2 * kv_heads) * head_dim + 4 * rng.range(0, 2);
        let [key_stride, value_stride] = [self.keys, self.values].map(|f| stride(f, head_dim as usize));
        let eps = 1e-5;
        let params = Params {
            n_tokens, token0, n_heads, kv_heads, head_dim, rotary, positions, capacity, end, ld, key_stride, value_stride, eps,
        };
        let bias = rng.words(((n_heads + 2 * kv_heads) * head_dim) as usize);
        let gains = rng.words(2 * head_dim as usize);
        let table = rng.words((positions * rotary) as usize);
        let qkv = rng.words((n_tokens * ld) as usize);
        TestInput { params, bindings: vec![qkv, bias, gains, table, tokens.words(), vec![], vec![], vec![]] }
    }
    fn reference(&self, p: &Params, host: Host<'_>) {
        let (width, half) = (p.head_dim as usize, p.rotary as usize / 2);
        let [n_heads, kv_heads] = [p.n_heads, p.kv_heads].map(|n| n as usize);
        let tokens = &tokens(host.tokens)[p.token0 as usize..];
        for ((token, info), row) in tokens.iter().enumerate().zip(host.qkv.chunks(p.ld as usize)) {
            let cos_sin = &host.table[2 * info.position as usize * half..][..2 * half];
            for (head, x) in row.chunks_exact(width).take(n_heads + 2 * kv_heads).enumerate() {
                let mut x = x.to_vec();
                if self.with.bias {
                    x.iter_mut().zip(&host.bias[head * width..]).for_each(|(x, bias)| *x += bias);
                }
                if self.with.norm && head < n_heads + kv_heads {
                    let first = if head < n_heads { 0 } else { width };
                    rms_norm(&mut x, &host.gains[first..][..width], p.eps);
                }
                if head < n_heads + kv_heads {
                    rotate(self.pairing, &mut x, cos_sin);
                }
                let at = |head: usize, stride: u32| (head * p.capacity as usize + info.row as usize) * 4 * stride as usize;
                if head < n_heads {
                    host.q[(token * n_heads + head) * width..][..width].copy_from_slice(&x);
                } else if head < n_heads + kv_heads {
                    let first = at(head - n_heads, p.key_stride);
                    encode_row(self.keys, &x, &mut host.keys[first..][..4 * p.key_stride as usize]);
                } else {
                    let first = at(head - n_heads - kv_heads, p.value_stride);
                    encode_row(self.values, &x, &mut host.values[first..][..4 * p.value_stride as usize]);
                }
            }
        }
    }
}

fn new_rows(p: &Params) -> u64 {
    u64::from(p.n_tokens) * u64::from(p.kv_heads)
}

fn query_bytes(p: &Params) -> u64 {
    bytes4(u64::from(p.n_tokens) * u64::from(p.n_heads) * u64::from(p.head_dim))
}
