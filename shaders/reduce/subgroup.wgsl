// A reduction group is a subgroup of any size: sums within it need no barrier. A workgroup has several reduction groups.
//# include "shared/main_subgroup.wgsl"
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

//# include "shared/group_index.wgsl"

// Index of the reduction group in the workgroup, and their number.
fn reduce_group(ids: Ids) -> u32 {
    return ids.subgroup;
}
fn reduce_groups(ids: Ids) -> u32 {
    return ids.subgroups;
}

// Index of the lane in the reduction group, and their number. A subgroup may be wider than the workgroup.
fn reduce_lane(ids: Ids) -> u32 {
    return ids.lane;
}
fn reduce_lanes(ids: Ids) -> u32 {
    return min(ids.size, WORKGROUP_SIZE);
}

// Sum over the reduction group, returned to all its lanes.
fn reduce_sum(ids: Ids, v: f32) -> f32 {
    return subgroupAdd(v);
}

// Sum over the workgroup, returned to all invocations. Contains barriers: call it in uniform control flow.
fn workgroup_sum(ids: Ids, v: f32) -> f32 {
    let subgroup_total = subgroupAdd(v);
    // An earlier call may still read `partial`.
    workgroupBarrier();
    if ids.lane == 0u {
        partial[ids.subgroup] = subgroup_total;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < ids.subgroups; i++) {
        total += partial[i];
    }
    return total;
}

// Maximum over a part of the workgroup, here a subgroup. `partial_count` parts cover the workgroup, and the invocation
// with `writes_partial` stores the maximum at `partial_index`.
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
