// Elementwise addition in place: x += delta, where delta repeats every `period` values. Four values per invocation.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    if i >= params.n / 4u {
        return;
    }
    x[i] += delta[i % (params.period / 4u)];
}
