// QK-norm: RMSNorm of each head of queries and keys in place, x = x / sqrt(mean(x²) + eps) · gain. One workgroup per head.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let heads = params.n_heads + params.kv_heads;
    let index = group_index(at_group, groups);
    if index >= params.n_tokens * heads {
        return;
    }
    let quads = params.head_dim / 4u;
    let head = index % heads;
    let first = (index / heads) * (params.ld / 4u) + head * quads;
    let gain = select(0u, quads, head >= params.n_heads);
    var squares = 0.0;
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        let v = x[first + i];
        squares += dot(v, v);
    }
    let scale = inverseSqrt(workgroup_sum(ids, squares) / f32(params.head_dim) + params.eps);
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        x[first + i] *= scale * gains[gain + i];
    }
}
