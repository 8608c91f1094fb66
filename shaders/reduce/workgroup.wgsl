// The reduction group is the workgroup, and sums go through workgroup memory (a tree): runs on every device.
//# include "shared/main_local.wgsl"
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

//# include "shared/group_index.wgsl"

//# include "shared/workgroup_is_group.wgsl"

// Sum over the workgroup, returned to all invocations. WORKGROUP_SIZE must be a power of two. Contains barriers: call it in
// uniform control flow.
fn workgroup_sum(ids: Ids, v: f32) -> f32 {
    // An earlier call may still read `partial`.
    workgroupBarrier();
    partial[ids.local] = v;
    workgroupBarrier();
    for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride >>= 1u) {
        if ids.local < stride {
            partial[ids.local] += partial[ids.local + stride];
        }
        workgroupBarrier();
    }
    return partial[0];
}

// Sum over the reduction group, returned to all its lanes. Contains barriers, as above.
fn reduce_sum(ids: Ids, v: f32) -> f32 {
    return workgroup_sum(ids, v);
}

// Maximum over a part of the workgroup. Here every invocation is a part.
fn partial_max(v: f32) -> f32 {
    return v;
}
fn partial_index(ids: Ids) -> u32 {
    return ids.local;
}
fn partial_count(ids: Ids) -> u32 {
    return WORKGROUP_SIZE;
}
fn writes_partial(ids: Ids) -> bool {
    return true;
}
