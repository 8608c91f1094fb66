// No reduction: only where an invocation stands.
struct Ids {
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
}

// Linear index of the workgroup in a folded grid.
fn group_index(ids: Ids) -> u32 {
    return ids.group.y * ids.groups.x + ids.group.x;
}

// Linear index of the invocation in a folded grid.
fn global_index(ids: Ids) -> u32 {
    return group_index(ids) * LANES + ids.local;
}
