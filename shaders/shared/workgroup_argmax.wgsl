// The place of the largest of what a workgroup's lanes update_best; of several as large the first. What is no number does not
// count.
//# include "shared/no_index.wgsl"
var<workgroup> best: array<f32, LANES>;
var<workgroup> best_index: array<u32, LANES>;
var<private> top: f32 = LOWEST;
var<private> place: u32 = NO_INDEX;

// A lane considers its values in the order of their places.
fn update_best(v: f32, i: u32) {
    // By its bits, because compilers may assume that there are none.
    let is_number = (bitcast<u32>(v) & 0x7fffffffu) <= 0x7f800000u;
    if is_number && (v > top || place == NO_INDEX) {
        top = v;
        place = i;
    }
}

// Contains barriers: call it in uniform control flow.
fn index_of_largest(local: u32) -> u32 {
    best[local] = top;
    best_index[local] = place;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride >>= 1u) {
        if local < stride {
            let theirs = best[local + stride];
            let at = best_index[local + stride];
            let wins = theirs > best[local] || (theirs == best[local] && at < best_index[local]);
            if at != NO_INDEX && (wins || best_index[local] == NO_INDEX) {
                best[local] = theirs;
                best_index[local] = at;
            }
        }
        workgroupBarrier();
    }
    return best_index[0];
}
