// Argmax of each split of each row. The lowest index wins a tie. One workgroup per split. With one
// split per row, a row of only NaN gives 0.
//
//   each lane: best of columns local, local + WORKGROUP_SIZE and so on.
//   workgroup: tree reduction of the lanes' bests.
//   leader: picks[pick0 + row · n_splits + split] = best index, or NO_INDEX.
//# include reduce
//# include "shared/workgroup_argmax.wgsl"

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let index = group_index(at_group, groups);
    let row = index / params.n_splits;
    if row >= params.n_rows {
        return;
    }
    let width = (params.n_cols + params.n_splits - 1u) / params.n_splits;
    let first = index % params.n_splits * width;
    let end = min(first + width, params.n_cols);
    for (var i = first + ids.local; i < end; i += WORKGROUP_SIZE) {
        update_best(x[row * params.n_cols + i], i);
    }
    let at = index_of_largest(ids.local);
    if ids.local == 0u {
        picks[params.pick0 + index] = select(at, 0u, at == NO_INDEX && params.n_splits == 1u);
    }
}
