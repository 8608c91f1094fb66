// Elementwise addition in place: x += delta, where delta repeats every `period` values. Four values per invocation.
//# include reduce

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    if i >= params.n / 4u {
        return;
    }
    x[i] += delta[i % (params.period / 4u)];
}
