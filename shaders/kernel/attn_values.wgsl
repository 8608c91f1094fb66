// Unfused attention, step 3 of 3: out = weights · V. One invocation per vec4 of the output.
//# include reduce
//# with src = "values", interleaved = false, texture = TEXTURE
//# include "shared/rows.wgsl"
//# include cache_file
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let quads = params.head_dim / 4u;
    let i = global_index(ids, at_group, groups);
    if i >= params.n_tokens * params.n_heads * quads {
        return;
    }
    let quad = i % quads;
    let query = i / quads;
    let kv_head = (query % params.n_heads) / params.group;
    let context = params.position + params.n_tokens;
    let seen = params.position + query / params.n_heads + 1u;
    var sum = vec4f();
    for (var at = 0u; at < seen; at++) {
        let row = values_row(kv_head * params.capacity + at, params.stride);
        sum += weights[query * context + at] * values_vec4(row, params.head_dim, quad);
    }
    out[i] = sum;
}
