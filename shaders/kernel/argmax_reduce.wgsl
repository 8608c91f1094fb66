// Second step of a split argmax: argmax of each row over the results of its splits. The result is 0
// if every value of the row is NaN. One workgroup per row.
//# include reduce
//# include "shared/workgroup_argmax.wgsl"

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    for (var i = ids.local; i < params.n_splits; i += WORKGROUP_SIZE) {
        let at = split_picks[row * params.n_splits + i];
        if at != NO_INDEX {
            update_best(x[row * params.n_cols + at], at);
        }
    }
    let at = index_of_largest(ids.local);
    if ids.local == 0u {
        picks[params.pick0 + row] = select(at, 0u, at == NO_INDEX);
    }
}
