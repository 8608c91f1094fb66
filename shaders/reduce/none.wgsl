// No shared sums: only workgroup and invocation indices.
//# include "shared/main_local.wgsl"

//# include "shared/group_index.wgsl"

// Linear index of the invocation.
fn global_index(ids: Ids, group: vec3u, groups: vec3u) -> u32 {
    return group_index(group, groups) * WORKGROUP_SIZE + ids.local;
}
