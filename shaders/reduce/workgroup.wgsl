// The team is the whole workgroup, and its sums go through workgroup memory: runs on every device.
struct Ids {
    @builtin(local_invocation_index) local: u32,
}
var<workgroup> partial: array<f32, LANES>;

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
