// The reduction group is the whole workgroup.
// Which reduction group of the workgroup, and how many there are.
fn reduce_group(ids: Ids) -> u32 {
    return 0u;
}
fn reduce_groups(ids: Ids) -> u32 {
    return 1u;
}

// Which lane of the reduction group, and how many there are.
fn reduce_lane(ids: Ids) -> u32 {
    return ids.local;
}
fn reduce_lanes(ids: Ids) -> u32 {
    return LANES;
}
