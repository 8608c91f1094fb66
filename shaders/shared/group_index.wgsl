// Linear workgroup index. A dispatch dimension is limited to 65 535 workgroups, so the grid is 2-D.
//
// The builtins are parameters of the entry point, not fields of `Ids`. In a struct with builtins that vary, a browser's
// uniformity analysis takes them for varying too.
fn group_index(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}
