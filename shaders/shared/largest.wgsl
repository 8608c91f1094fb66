// The place of the largest of what a workgroup's lanes consider; of several as large the first. What is no number does not
// count.
const NOWHERE: u32 = 0xffffffffu;
var<workgroup> best: array<f32, LANES>;
var<workgroup> where_best: array<u32, LANES>;
var<private> top: f32 = -3.4028234e38;
var<private> place: u32 = NOWHERE;

// A lane considers its values in the order of their places.
fn consider(v: f32, i: u32) {
    // By its bits, because compilers may assume that there are none.
    let is_number = (bitcast<u32>(v) & 0x7fffffffu) <= 0x7f800000u;
    if is_number && (v > top || place == NOWHERE) {
        top = v;
        place = i;
    }
}

// Contains barriers: call it in uniform control flow.
fn place_of_largest(local: u32) -> u32 {
    best[local] = top;
    where_best[local] = place;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride >>= 1u) {
        if local < stride {
            let theirs = best[local + stride];
            let at = where_best[local + stride];
            let wins = theirs > best[local] || (theirs == best[local] && at < where_best[local]);
            if at != NOWHERE && (wins || where_best[local] == NOWHERE) {
                best[local] = theirs;
                where_best[local] = at;
            }
        }
        workgroupBarrier();
    }
    return where_best[0];
}
