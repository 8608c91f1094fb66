// Unfused attention, step 3 of 3: out = weights · V. One invocation per vec4 of the output.
//# include reduce
//# include "shared/visible_rows.wgsl"
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
    let token = visible_rows(query / params.n_heads);
    var sum = vec4f();
    for (var at = token.first; at < visible_end(token); at++) {
        if sees(token, at) {
            let row = values_row(kv_head * params.capacity + at, params.stride);
            sum += weights[query * params.n_cols + at - params.first] * values_vec4(row, params.row_values, quad);
        }
    }
    out[i] = sum;
}
