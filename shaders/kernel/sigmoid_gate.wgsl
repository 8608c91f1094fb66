// Sigmoid gates in place: x = x · sigmoid(gate). One value per invocation.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    if i >= params.n_rows * params.n_cols {
        return;
    }
    let c = i % params.n_cols;
    let at = (i / params.n_cols) * params.ld + params.first + (c / params.group) * params.group_ld + (c % params.group) * params.step;
    x[i] = x[i] / (1.0 + exp(-gates[at]));
}
