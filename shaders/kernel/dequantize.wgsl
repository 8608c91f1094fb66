// Dequantizes a matrix: rows of any format become F16 or F32 rows in the same layout, as the linear kernels read them.
//
// One invocation per chunk, with the `unpack` of the linear kernels. Each header of scales is read once per chunk, where
// `vec4` would read it once for four values. Every run of a chunk is a whole number of vec4s of the output.
//# include reduce
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = INTERLEAVED, texture = INTERLEAVED
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith
//# with src = "values", input = "weights", interleaved = INTERLEAVED, texture = INTERLEAVED
//# include "shared/rows.wgsl"
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let chunks = params.n_cols / UNPACK_LEN;
    let row_groups = (params.n_rows + ROWS_INTERLEAVED - 1u) / ROWS_INTERLEAVED;
    let i = global_index(ids, at_group, groups);
    if i >= row_groups * ROWS_INTERLEAVED * chunks {
        return;
    }
    // Neighbouring lanes take neighbours in memory: the rows of a group first, then their chunks.
    let at = i / ROWS_INTERLEAVED;
    let row = at / chunks * ROWS_INTERLEAVED + i % ROWS_INTERLEAVED;
    let chunk = at % chunks;
    let w = weights_unpack(weights_row(row, params.stride), params.n_cols, chunk);
    let to = values_row(row, params.n_cols / (4u * QUADS_PER_VEC4));
    //# for i in range(0, UNPACK_LEN // 4, QUADS_PER_VEC4)
    values_store_vec4(
        to + column(chunk * UNPACK_QUADS + ${i}u) / QUADS_PER_VEC4 * ROWS_INTERLEAVED,
        //# if QUADS_PER_VEC4 == 2
        vec4u(
            pack2x16float(w[${i}].xy), pack2x16float(w[${i}].zw),
            pack2x16float(w[${i + 1}].xy), pack2x16float(w[${i + 1}].zw),
        ),
        //# else
        bitcast<vec4u>(w[${i}]),
        //# endif
    );
    //# endfor
}
