// A linear layer with a matrix W_h of n_rows · n_cols per head.
//
//   y[t, h, r] = Σ_c W_h[r, c] · x[t, h, c]
//   if TRANSPOSED: y[t, h, c] = Σ_r W_h[r, c] · x[t, h, r]
//
// A reduction group computes a value. If TRANSPOSED, an invocation computes a vec4, so that neighbours read neighbours.
//# include reduce
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = INTERLEAVED, texture = INTERLEAVED
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith
//# if TRANSPOSED

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let quads = params.n_cols / 4u;
    let i = group_index(at_group, groups) * WORKGROUP_SIZE + ids.local;
    if i >= params.n_tokens * params.n_heads * quads {
        return;
    }
    let head = (i / quads) % params.n_heads;
    let token = i / quads / params.n_heads;
    let first = (token * params.x_ld + params.x_first + head * params.x_step) / 4u;
    var sum = vec4f();
    for (var r = 0u; r < params.n_rows; r++) {
        let row = weights_row(head * params.n_rows + r, params.stride);
        sum += x[first + r / 4u][r % 4u] * weights_vec4(row, params.n_cols, i % quads);
    }
    let to = token * params.y_ld + params.y_first + head * params.y_step + 4u * (i % quads);
    //# for c in range(4)
    y[to + ${c}u] = sum[${c}];
    //# endfor
}
//# else

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let all = params.n_tokens * params.n_heads * params.n_rows;
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let index = group_index(at_group, groups) * BLOCKS + block;
        // A surplus reduction group repeats the last value and stores nothing, so that barriers stay uniform.
        let i = min(index, all - 1u);
        let r = i % params.n_rows;
        let head = (i / params.n_rows) % params.n_heads;
        let token = i / params.n_rows / params.n_heads;
        let row = weights_row(head * params.n_rows + r, params.stride);
        let first = (token * params.x_ld + params.x_first + head * params.x_step) / 4u;
        var sum = 0.0;
        for (var p = reduce_lane(ids); p < params.n_cols / UNPACK_LEN; p += reduce_lanes(ids)) {
            let w = weights_unpack(row, params.n_cols, p);
            //# for i in range(UNPACK_LEN // 4)
            sum += dot(w[${i}], x[first + column(p * UNPACK_QUADS + ${i}u)]);
            //# endfor
        }
        let total = reduce_sum(ids, sum);
        if index < all && reduce_lane(ids) == 0u {
            y[token * params.y_ld + params.y_first + head * params.y_step + r] = total;
        }
    }
}
//# endif
