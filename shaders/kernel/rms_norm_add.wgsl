// RMSNorm (Zhang & Sennrich 2019) added to y: y += x / sqrt(mean(x²) + eps) · gain. One workgroup per row.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    let quads = params.n_cols / 4u;
    let first = row * quads;
    var squares = 0.0;
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        let v = x[first + i];
        squares += dot(v, v);
    }
    let scale = inverseSqrt(workgroup_sum(ids, squares) / f32(params.n_cols) + params.eps);
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        y[first + i] += x[first + i] * scale * gain[i];
    }
}
