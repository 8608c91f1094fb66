// Bandwidth probe: to = from, ITEMS vec4 words per invocation. Neighbouring invocations access neighbouring words.
//# include reduce

@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let shares = (params.n / 4u + LANES * ITEMS - 1u) / (LANES * ITEMS);
    if group_index(at_group, groups) >= shares * params.rounds {
        return;
    }
    // Every round writes the same words.
    let first = (group_index(at_group, groups) % shares) * (LANES * ITEMS) + ids.local;
    //# for i in range(ITEMS)
    if first + ${i}u * LANES < params.n / 4u {
        to[first + ${i}u * LANES] = from_words[first + ${i}u * LANES];
    }
    //# endfor
}
