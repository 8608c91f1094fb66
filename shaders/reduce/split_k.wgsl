// Split-K: the reduction group is the workgroup, and its subgroups split the columns of a row. For matrices with few rows,
// which would leave a large device idle.
//
//   each subgroup: store_partial_sum for all SUMS sums;  one barrier;  each lane: total_sum over the subgroups
//# include "shared/main_subgroup.wgsl"
// Subgroups have at least four lanes.
var<workgroup> partial_sums: array<f32, SUMS * WORKGROUP_SIZE / 4u>;

//# include "shared/group_index.wgsl"

//# include "shared/workgroup_is_group.wgsl"

// Stores the subgroup's part of sum `i`. `total_sum` may read it after a barrier.
fn store_partial_sum(ids: Ids, i: u32, v: f32) {
    let partial_sum = subgroupAdd(v);
    if ids.lane == 0u {
        partial_sums[i * ids.subgroups + ids.subgroup] = partial_sum;
    }
}

// Sum `i` over the reduction group.
fn total_sum(ids: Ids, i: u32) -> f32 {
    var sum = 0.0;
    for (var k = 0u; k < ids.subgroups; k++) {
        sum += partial_sums[i * ids.subgroups + k];
    }
    return sum;
}
