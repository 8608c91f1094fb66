// Teams are subgroups of whatever size the device gives: sums within a team need no barrier.
struct Ids {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
}
var<workgroup> partial: array<f32, LANES>;

//# include "shared/group_index.wgsl"

// Which team of the workgroup, and how many there are.
fn team(ids: Ids) -> u32 {
    return ids.subgroup;
}
fn teams(ids: Ids) -> u32 {
    return ids.subgroups;
}

// Which lane of the team, and how many there are: a subgroup may be wider than the workgroup.
fn team_lane(ids: Ids) -> u32 {
    return ids.lane;
}
fn team_lanes(ids: Ids) -> u32 {
    return min(ids.size, LANES);
}

// Sum over the team, known to every lane of it.
fn team_sum(ids: Ids, v: f32) -> f32 {
    return subgroupAdd(v);
}

// Sum over the workgroup, known to every invocation. Contains barriers: call it in uniform control flow.
fn group_sum(ids: Ids, v: f32) -> f32 {
    let mine = subgroupAdd(v);
    workgroupBarrier();
    if ids.lane == 0u {
        partial[ids.subgroup] = mine;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < ids.subgroups; i++) {
        total += partial[i];
    }
    return total;
}

// A maximum over part of the workgroup: `parts` of them cover it, and the part's leader holds one.
fn part_max(v: f32) -> f32 {
    return subgroupMax(v);
}
fn part(ids: Ids) -> u32 {
    return ids.subgroup;
}
fn parts(ids: Ids) -> u32 {
    return ids.subgroups;
}
fn leads_part(ids: Ids) -> bool {
    return ids.lane == 0u;
}
