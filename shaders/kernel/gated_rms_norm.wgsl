// Gated RMSNorm of each head in place, x = x / sqrt(mean(x²) + eps) · gain · silu(z). One workgroup per head.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let index = group_index(at_group, groups);
    if index >= params.n_tokens * params.n_heads {
        return;
    }
    let quads = params.head_dim / 4u;
    let first = index * quads;
    let z0 = ((index / params.n_heads) * params.ld + params.first) / 4u + index % params.n_heads * quads;
    var squares = 0.0;
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        let v = x[first + i];
        squares += dot(v, v);
    }
    let scale = inverseSqrt(workgroup_sum(ids, squares) / f32(params.head_dim) + params.eps);
    for (var i = ids.local; i < quads; i += WORKGROUP_SIZE) {
        let gate = z[z0 + i];
        x[first + i] *= scale * gain[i] * (gate / (1.0 + exp(-gate)));
    }
}
