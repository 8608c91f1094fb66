// Argmax over a workgroup: the index of the largest value that its lanes passed to `update_best`. The first index wins a
// tie, and NaN never wins.
//# include "shared/no_index.wgsl"
var<workgroup> best: array<f32, WORKGROUP_SIZE>;
var<workgroup> best_index: array<u32, WORKGROUP_SIZE>;
var<private> top: f32 = LOWEST;
var<private> top_index: u32 = NO_INDEX;

// Takes a candidate of the lane. Indices must ascend, so that the first of equal values stays.
fn update_best(v: f32, i: u32) {
    // Test the bits, because compilers may assume that NaN does not occur.
    let is_number = (bitcast<u32>(v) & 0x7fffffffu) <= 0x7f800000u;
    if is_number && (v > top || top_index == NO_INDEX) {
        top = v;
        top_index = i;
    }
}

// Tree reduction of the lanes' candidates. WORKGROUP_SIZE must be a power of two. Contains barriers: call it in uniform
// control flow.
fn index_of_largest(local: u32) -> u32 {
    best[local] = top;
    best_index[local] = top_index;
    workgroupBarrier();
    for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride >>= 1u) {
        if local < stride {
            let other = best[local + stride];
            let other_index = best_index[local + stride];
            let wins = other > best[local] || (other == best[local] && other_index < best_index[local]);
            if other_index != NO_INDEX && (wins || best_index[local] == NO_INDEX) {
                best[local] = other;
                best_index[local] = other_index;
            }
        }
        workgroupBarrier();
    }
    return best_index[0];
}
