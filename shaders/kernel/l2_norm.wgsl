// L2 normalization of each head in place, x = x / sqrt(Σ x² + eps). One workgroup per head.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let index = group_index(at_group, groups);
    if index >= params.n_tokens * params.n_heads {
        return;
    }
    let quads = params.head_dim / 4u;
    let first = (index / params.n_heads) * (params.ld / 4u) + index % params.n_heads * quads;
    var squares = 0.0;
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        let v = x[first + i];
        squares += dot(v, v);
    }
    let scale = inverseSqrt(workgroup_sum(ids, squares) + params.eps);
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        x[first + i] *= scale;
    }
}
