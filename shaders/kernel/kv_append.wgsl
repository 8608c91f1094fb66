// Stores new key or value rows in the KV cache, in its quantization type. The cache holds all positions of a head
// together: row = head · capacity + row of the token.
//
// One invocation per vec4 of a stored row. So no two invocations write parts of the same vec4, although the scales of
// several blocks share one.
//# include reduce
//# include "shared/token_info.wgsl"
//# with src = "cache", input = "value", interleaved = false, texture = TEXTURE
//# include "shared/rows.wgsl"
//# include cache_file
//# endwith

// Vec4 `i` of the new rows, counted without the gaps between them.
fn value(i: u32) -> vec4f {
    let quads = params.head_dim / 4u;
    let row = i / quads;
    return x[((row / params.n_heads) * params.ld + params.first) / 4u + (row % params.n_heads) * quads + i % quads];
}

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    let row = i / params.stride;
    if row >= params.n_tokens * params.n_heads {
        return;
    }
    let at = (row % params.n_heads) * params.capacity + token_row(row / params.n_heads);
    let column = i % params.stride;
    cache_store_vec4(at * params.stride + column, cache_encode(row * (params.head_dim / 4u), params.head_dim, column));
}
