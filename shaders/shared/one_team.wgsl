// The team is the whole workgroup.
// Which team of the workgroup, and how many there are.
fn team(ids: Ids) -> u32 {
    return 0u;
}
fn teams(ids: Ids) -> u32 {
    return 1u;
}

// Which lane of the team, and how many there are.
fn team_lane(ids: Ids) -> u32 {
    return ids.local;
}
fn team_lanes(ids: Ids) -> u32 {
    return LANES;
}
