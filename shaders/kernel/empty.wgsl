// Launch-overhead probe: one workgroup writes one word.
//# include reduce

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    if ids.local == 0u && group_index(at_group, groups) == 0u {
        to[0] = params.value;
    }
}
