// Bandwidth probe, STREAM's triad (McCalpin 1995): to = a + factor · b, ITEMS vec4 per invocation.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let workgroups_per_round = (params.n / 4u + WORKGROUP_SIZE * ITEMS - 1u) / (WORKGROUP_SIZE * ITEMS);
    if group_index(at_group, groups) >= workgroups_per_round * params.rounds {
        return;
    }
    // Every round writes the same words.
    let first = (group_index(at_group, groups) % workgroups_per_round) * (WORKGROUP_SIZE * ITEMS) + ids.local;
    //# for i in range(ITEMS)
    if first + ${i}u * WORKGROUP_SIZE < params.n / 4u {
        to[first + ${i}u * WORKGROUP_SIZE] =
            a[first + ${i}u * WORKGROUP_SIZE] + params.factor * b[first + ${i}u * WORKGROUP_SIZE];
    }
    //# endfor
}
