// Weighted sum of the outputs of a token's experts, added to the residual stream. Four values per invocation.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    let quads = params.n_cols / 4u;
    let token = i / quads;
    if token >= params.n_tokens {
        return;
    }
    var sum = vec4f();
    for (var k = token * params.top_k; k < (token + 1u) * params.top_k; k++) {
        sum += weights[k] * y[k * quads + i % quads];
    }
    x[i] += sum;
}
