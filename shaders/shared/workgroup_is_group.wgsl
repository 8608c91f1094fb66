// The reduction group is the whole workgroup.
// Index of the reduction group in the workgroup, and their number.
fn reduce_group(ids: Ids) -> u32 {
    return 0u;
}
fn reduce_groups(ids: Ids) -> u32 {
    return 1u;
}

// Index of the lane in the reduction group, and their number.
fn reduce_lane(ids: Ids) -> u32 {
    return ids.local;
}
fn reduce_lanes(ids: Ids) -> u32 {
    return WORKGROUP_SIZE;
}
