// The team is the whole workgroup, and its sums go through workgroup memory: runs on every device.
struct Ids {
    @builtin(local_invocation_index) local: u32,
}
var<workgroup> partial: array<f32, LANES>;

//# include "shared/group_index.wgsl"

//# include "shared/one_team.wgsl"

// Sum over the workgroup, known to every invocation. Contains barriers: call it in uniform control flow.
fn group_sum(ids: Ids, v: f32) -> f32 {
    workgroupBarrier();
    partial[ids.local] = v;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride >>= 1u) {
        if ids.local < stride {
            partial[ids.local] += partial[ids.local + stride];
        }
        workgroupBarrier();
    }
    return partial[0];
}

// Sum over the team, known to every lane of it. Contains barriers, as above.
fn team_sum(ids: Ids, v: f32) -> f32 {
    return group_sum(ids, v);
}

// A maximum over part of the workgroup: here every invocation is a part of its own.
fn part_max(v: f32) -> f32 {
    return v;
}
fn part(ids: Ids) -> u32 {
    return ids.local;
}
fn parts(ids: Ids) -> u32 {
    return LANES;
}
fn leads_part(ids: Ids) -> bool {
    return true;
}
