// Between the projection and attention, in one launch: queries are rotated into a buffer of their own, keys are
// rotated and values go as they are into the cache, in the cache's number formats. Rows of qkv hold all query heads,
// then all key heads, then all value heads. One invocation per vec4 of a query or of a cache row.
//# include reduce
//# with src = "keys", store = "new_key", interleaved = false, texture = TEXTURE
//# include "shared/rows.wgsl"
//# include keys_file
//# endwith
//# with src = "values", store = "new_value", interleaved = false, texture = TEXTURE
//# include "shared/rows.wgsl"
//# include values_file
//# endwith

// Vec4 `quad` of the head that starts at vec4 `base`, turned by the position of its token; what lies beyond the rotated
// part of a head stays.
fn turned_quad(base: u32, token: u32, quad: u32) -> vec4f {
    let x = qkv[base + quad];
    let turns = params.rotary / 4u;
    if quad >= turns {
        return x;
    }
    let first = (params.position + token) * turns;
    //# if PAIR_STEP == 2
    let t = table[first + quad];
    return x * t.xxzz + vec4f(-x.y, x.x, -x.w, x.z) * t.yyww;
    //# else
    let second = quad >= turns / 2u;
    let pair = select(quad, quad - turns / 2u, second);
    let other = qkv[base + select(quad + turns / 2u, pair, second)];
    let a = table[first + 2u * pair];
    let b = table[first + 2u * pair + 1u];
    let s = vec4f(a.yw, b.yw);
    return x * vec4f(a.xz, b.xz) + other * select(-s, s, second);
    //# endif
}

// Vec4 `i` of the new keys, as if [n_tokens, kv_heads, head_dim] were contiguous.
fn new_key(i: u32) -> vec4f {
    let quads = params.head_dim / 4u;
    let row = i / quads;
    let token = row / params.kv_heads;
    let base = token * (params.ld / 4u) + (params.n_heads + row % params.kv_heads) * quads;
    return turned_quad(base, token, i % quads);
}

// The same of the new values.
fn new_value(i: u32) -> vec4f {
    let quads = params.head_dim / 4u;
    let row = i / quads;
    let token = row / params.kv_heads;
    let head = params.n_heads + params.kv_heads + row % params.kv_heads;
    return qkv[token * (params.ld / 4u) + head * quads + i % quads];
}

// Where row `row` of the new keys or values goes, in rows.
fn place(row: u32) -> u32 {
    return (row % params.kv_heads) * params.capacity + params.position + row / params.kv_heads;
}

@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let quads = params.head_dim / 4u;
    let queries = params.n_tokens * params.n_heads * quads;
    let rows = params.n_tokens * params.kv_heads;
    var i = global_index(ids, at_group, groups);
    if i < queries {
        let row = i / quads;
        let token = row / params.n_heads;
        let base = token * (params.ld / 4u) + (row % params.n_heads) * quads;
        q[i] = turned_quad(base, token, i % quads);
        return;
    }
    i -= queries;
    if i < rows * params.key_stride {
        let row = i / params.key_stride;
        let word = i % params.key_stride;
        keys_put(place(row) * params.key_stride + word, keys_store(row * quads, params.head_dim, word));
        return;
    }
    i -= rows * params.key_stride;
    if i < rows * params.value_stride {
        let row = i / params.value_stride;
        let word = i % params.value_stride;
        values_put(place(row) * params.value_stride + word, values_store(row * quads, params.head_dim, word));
    }
}
