// The team is the whole workgroup, whose subgroups split a row among them: for matrices of few rows, which would leave
// a large device without work. Every subgroup leaves its share of all SUMS sums, and one barrier later they are whole.
struct Ids {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
}
// Subgroups have four lanes or more.
var<workgroup> shares: array<f32, SUMS * LANES / 4u>;

// Linear index of the workgroup in a folded grid. Its arguments are parameters of the entry point by themselves:
// beside builtins that differ, in one struct, a browser's uniformity analysis takes them for differing too.
fn group_index(group: vec3u, groups: vec3u) -> u32 {
    return group.y * groups.x + group.x;
}

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

// What the subgroup adds to the team's sum number `i`; a barrier makes it known.
fn leave_share(ids: Ids, i: u32, v: f32) {
    let share = subgroupAdd(v);
    if ids.lane == 0u {
        shares[i * ids.subgroups + ids.subgroup] = share;
    }
}

// The team's sum number `i`.
fn whole_sum(ids: Ids, i: u32) -> f32 {
    var sum = 0.0;
    for (var k = 0u; k < ids.subgroups; k++) {
        sum += shares[i * ids.subgroups + k];
    }
    return sum;
}
