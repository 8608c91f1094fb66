// Launch-overhead probe: one workgroup writes one word.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    if ids.local == 0u && group_index(at_group, groups) == 0u {
        to[0] = params.value;
    }
}
