// Embedding lookup: row tokens[token0 + t] of the table becomes row t of the output. A table beyond the
// binding limit is split by rows. This launch sees rows row0 to row0 + n_rows, other launches write the others.
//# include reduce
//# with src = "table", interleaved = INTERLEAVED, texture = INTERLEAVED
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let quads = params.n_cols / 4u;
    let i = global_index(ids, at_group, groups);
    if i >= params.n_tokens * quads {
        return;
    }
    let row = tokens[params.token0 + i / quads] - params.row0;
    // Tokens below row0 wrap around and fail the test too.
    if row < params.n_rows {
        y[i] = params.scale * table_vec4(table_row(row, params.stride), params.n_cols, i % quads);
    }
}
