// Linear index of the workgroup in a folded grid. Its arguments are parameters of the entry point by themselves:
// beside builtins that differ, in one struct, a browser's uniformity analysis takes them for differing too.
fn group_index(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}
