// Copies `width` values of every head. One invocation per vec4.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let quads = params.width / 4u;
    let i = global_index(ids, at_group, groups);
    if i >= params.n_tokens * params.n_heads * quads {
        return;
    }
    let head = (i / quads) % params.n_heads;
    let token = i / quads / params.n_heads;
    let first = (token * params.x_ld + params.x_first + head * params.x_step) / 4u + i % quads;
    let to = (token * params.y_ld + params.y_first + head * params.y_step) / 4u + i % quads;
    y[to] = x[first];
}
