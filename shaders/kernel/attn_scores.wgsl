// Unfused attention, step 1 of 3: scores = scale · q·k for every query row and n_cols cache rows. Rows that the token does
// not see are masked. One invocation per score.
//# include reduce
//# include "shared/visible_rows.wgsl"
//# if UNROLLED
//# include "shared/dot_add.wgsl"
//# endif
//# with src = "keys", interleaved = false, texture = TEXTURE
//# include "shared/rows.wgsl"
//# include cache_file
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    if i >= params.n_tokens * params.n_heads * params.n_cols {
        return;
    }
    let at = params.first + i % params.n_cols;
    let query = i / params.n_cols;
    if !sees(visible_rows(query / params.n_heads), at) {
        scores[i] = MASKED;
        return;
    }
    let kv_head = (query % params.n_heads) / params.group;
    let row = keys_row(kv_head * params.capacity + at, params.stride);
    let head = query % params.n_heads;
    let query0 = ((query / params.n_heads) * params.ld + head * params.head_dim) / 4u;
    var sum = 0.0;
    for (var p = 0u; p < params.head_dim / UNPACK_LEN; p++) {
        let k = keys_unpack(row, params.head_dim, p);
        let first = query0 + p * (UNPACK_LEN / 4u);
        //# for i in range(UNPACK_LEN // 4)
        //# if UNROLLED
        sum = dot_add(k[${i}], q[first + ${i}u], sum);
        //# else
        sum += dot(k[${i}], q[first + ${i}u]);
        //# endif
        //# endfor
    }
    scores[i] = params.scale * sum;
}
