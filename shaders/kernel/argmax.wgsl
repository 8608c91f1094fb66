// Index of the largest value of each part of each row; the lowest index wins a tie. One workgroup per part. A row in one
// part without any number gives 0.
//# include reduce
//# include "shared/workgroup_argmax.wgsl"

@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let index = group_index(at_group, groups);
    let row = index / params.n_splits;
    if row >= params.n_rows {
        return;
    }
    let width = (params.n_cols + params.n_splits - 1u) / params.n_splits;
    let first = index % params.n_splits * width;
    let end = min(first + width, params.n_cols);
    for (var i = first + ids.local; i < end; i += LANES) {
        update_best(x[row * params.n_cols + i], i);
    }
    let at = index_of_largest(ids.local);
    if ids.local == 0u {
        picks[params.pick0 + index] = select(at, 0u, at == NO_INDEX && params.n_splits == 1u);
    }
}
