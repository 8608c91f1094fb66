// Linear index of the workgroup in a folded 2-D grid. The builtins are parameters of the entry point, not fields of `Ids`.
// In a struct with builtins that vary, a browser's uniformity analysis takes them for varying too.
fn group_index(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}
