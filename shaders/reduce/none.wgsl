// No reduction: only where an invocation stands.
struct Ids {
    @builtin(local_invocation_index) local: u32,
}

// Linear index of the workgroup in a folded grid. Its arguments are parameters of the entry point by themselves:
// beside builtins that differ, in one struct, a browser's uniformity analysis takes them for differing too.
fn group_index(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}

// Linear index of the invocation in a folded grid.
fn global_index(ids: Ids, group: vec3u, groups: vec3u) -> u32 {
    return group_index(group, groups) * LANES + ids.local;
}
