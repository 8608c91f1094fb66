// Fused bias, QK-norm, RoPE and KV cache append, in one launch between the QKV projection and attention. Rows of qkv hold
// all query heads, then all key heads, then all value heads, which may be of another width. A reduction group owns a head.
//
//   with BIAS: head += bias;  with NORM and for queries and keys: head = RMSNorm(head)
//   query: q = rope(head);  key: cache = quantize(rope(head));  value: cache = quantize(head)
//# include reduce
//# include "shared/token_info.wgsl"
//# with src = "keys", input = "rotated", interleaved = false, texture = TEXTURE
//# include "shared/rows.wgsl"
//# include keys_file
//# endwith
//# with src = "values", input = "projected", interleaved = false, texture = TEXTURE
//# include "shared/rows.wgsl"
//# include values_file
//# endwith

// The token and the head of the reduction group.
var<private> token: u32;
var<private> head: u32;
//# if NORM
// 1 / sqrt(mean(x²) + eps) of the head.
var<private> scale: f32;
//# endif

// Vec4 `quad` of the projected head, bias included.
fn projected(quad: u32) -> vec4f {
    let values = max(head, params.n_heads + params.kv_heads) - (params.n_heads + params.kv_heads);
    let column = (head - values) * (params.head_dim / 4u) + values * (params.value_dim / 4u) + quad;
    let x = qkv[token * (params.ld / 4u) + column];
    //# if BIAS
    return x + bias[column];
    //# else
    return x;
    //# endif
}

// Vec4 `quad` of a query or key head after QK-norm, before the rotation.
fn unrotated(quad: u32) -> vec4f {
    let x = projected(quad);
    //# if NORM
    return x * scale * gains[select(0u, params.head_dim / 4u, head >= params.n_heads) + quad];
    //# else
    return x;
    //# endif
}

// Vec4 `quad` of a query or key head, rotated by the position of the token. Values beyond `rotary` stay unchanged.
fn rotated(quad: u32) -> vec4f {
    let x = unrotated(quad);
    let rotary_vec4s = params.rotary / 4u;
    if quad >= rotary_vec4s {
        return x;
    }
    let first = token_position(token) * rotary_vec4s;
    // A vec4 of the table is (cos, sin) of two pairs. Interleaved: both pairs are in x. Half-split: the partners of the four
    // values are in `other`, in the other half of the rotated part.
    //# if PAIR_STEP == 2
    let t = table[first + quad];
    return x * t.xxzz + vec4f(-x.y, x.x, -x.w, x.z) * t.yyww;
    //# else
    let second = quad >= rotary_vec4s / 2u;
    let in_half = select(quad, quad - rotary_vec4s / 2u, second);
    let other = unrotated(select(quad + rotary_vec4s / 2u, in_half, second));
    let a = table[first + 2u * in_half];
    let b = table[first + 2u * in_half + 1u];
    let s = vec4f(a.yw, b.yw);
    return x * vec4f(a.xz, b.xz) + other * select(-s, s, second);
    //# endif
}

// Stores the head: queries in the output q, keys and values in their rows of the cache. An encoder calls `rotated` or
// `projected` for each vec4 it reads. That recomputes bias, norm and rotation, but the head needs no workgroup memory.
fn store(ids: Ids) {
    let quads = params.head_dim / 4u;
    if head < params.n_heads {
        let first = (token * params.n_heads + head) * quads;
        for (var i = reduce_lane(ids); i < quads; i += reduce_lanes(ids)) {
            q[first + i] = rotated(i);
        }
        return;
    }
    let key = head - params.n_heads;
    let row = (key % params.kv_heads) * params.capacity + token_row(token);
    if key < params.kv_heads {
        for (var i = reduce_lane(ids); i < params.key_stride; i += reduce_lanes(ids)) {
            keys_store_vec4(row * params.key_stride + i, keys_encode(0u, params.head_dim, i));
        }
    } else {
        for (var i = reduce_lane(ids); i < params.value_stride; i += reduce_lanes(ids)) {
            values_store_vec4(row * params.value_stride + i, values_encode(0u, params.value_dim, i));
        }
    }
}

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let heads = params.n_heads + 2u * params.kv_heads;
    let all = params.n_tokens * heads;
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let index = group_index(at_group, groups) * BLOCKS + block;
        // A surplus reduction group repeats the last head and stores nothing, so that barriers stay uniform.
        token = min(index, all - 1u) / heads;
        head = min(index, all - 1u) % heads;
        //# if NORM
        var squares = 0.0;
        for (var i = reduce_lane(ids); i < params.head_dim / 4u; i += reduce_lanes(ids)) {
            let v = projected(i);
            squares += dot(v, v);
        }
        scale = inverseSqrt(reduce_sum(ids, squares) / f32(params.head_dim) + params.eps);
        //# endif
        if index < all {
            store(ids);
        }
    }
}
