// The reduction group is the whole workgroup, whose subgroups split a row among them: for matrices of few rows, which would leave
// a large device without work. Every subgroup leaves its partial_sum of all SUMS sums, and one barrier later they are whole.
struct Ids {
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
}
// Subgroups have four lanes or more.
var<workgroup> partial_sums: array<f32, SUMS * LANES / 4u>;

//# include "shared/group_index.wgsl"

//# include "shared/workgroup_is_group.wgsl"

// What the subgroup adds to the reduction group's sum number `i`; a barrier makes it known.
fn store_partial_sum(ids: Ids, i: u32, v: f32) {
    let partial_sum = subgroupAdd(v);
    if ids.lane == 0u {
        partial_sums[i * ids.subgroups + ids.subgroup] = partial_sum;
    }
}

// The reduction group's sum number `i`.
fn total_sum(ids: Ids, i: u32) -> f32 {
    var sum = 0.0;
    for (var k = 0u; k < ids.subgroups; k++) {
        sum += partial_sums[i * ids.subgroups + k];
    }
    return sum;
}
