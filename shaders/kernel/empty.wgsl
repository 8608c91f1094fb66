// Launch-cost probe: one workgroup that writes one word.
//# include reduce

@compute @workgroup_size(LANES)
fn main(ids: Ids) {
    if ids.local == 0u && group_index(ids) == 0u {
        to[0] = params.value;
    }
}
