// Teams are subgroups of whatever size the device gives: sums within a reduction group need no barrier.
struct Ids {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
}
var<workgroup> partial: array<f32, LANES>;

//# include "shared/group_index.wgsl"

// Which reduction group of the workgroup, and how many there are.
fn reduce_group(ids: Ids) -> u32 {
    return ids.subgroup;
}
fn reduce_groups(ids: Ids) -> u32 {
    return ids.subgroups;
}

// Which lane of the reduction group, and how many there are: a subgroup may be wider than the workgroup.
fn reduce_lane(ids: Ids) -> u32 {
    return ids.lane;
}
fn reduce_lanes(ids: Ids) -> u32 {
    return min(ids.size, LANES);
}

// Sum over the reduction group, known to every lane of it.
fn reduce_sum(ids: Ids, v: f32) -> f32 {
    return subgroupAdd(v);
}

// Sum over the workgroup, known to every invocation. Contains barriers: call it in uniform control flow.
fn workgroup_sum(ids: Ids, v: f32) -> f32 {
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
fn partial_max(v: f32) -> f32 {
    return subgroupMax(v);
}
fn partial_index(ids: Ids) -> u32 {
    return ids.subgroup;
}
fn partial_count(ids: Ids) -> u32 {
    return ids.subgroups;
}
fn writes_partial(ids: Ids) -> bool {
    return ids.lane == 0u;
}
