// LayerNorm (Ba et al. 2016): y = (x - mean) / sqrt(variance + eps) · gain + bias. One workgroup per row.
//
// Two passes over the row: the variance is a sum of squared deviations, because mean(x²) - mean² would cancel.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    let quads = params.n_cols / 4u;
    let source = (params.row0 + row) * quads;
    var sums = vec4f();
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        sums += x[source + i];
    }
    let mean = workgroup_sum(ids, (sums.x + sums.y) + (sums.z + sums.w)) / f32(params.n_cols);
    var squares = 0.0;
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        let v = x[source + i] - mean;
        squares += dot(v, v);
    }
    let scale = inverseSqrt(workgroup_sum(ids, squares) / f32(params.n_cols) + params.eps);
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        y[row * quads + i] = (x[source + i] - mean) * scale * gain[i] + bias[i];
    }
}
