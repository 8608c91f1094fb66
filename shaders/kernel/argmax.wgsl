// Index of the largest value of each row; the lowest index wins a tie. One workgroup per row.
//# include reduce
var<workgroup> best: array<f32, LANES>;
var<workgroup> where_best: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    var top = -3.4028234e38;
    var at = params.n_cols;
    for (var i = ids.local; i < params.n_cols; i += LANES) {
        let v = x[row * params.n_cols + i];
        if v > top || at == params.n_cols {
            top = v;
            at = i;
        }
    }
    best[ids.local] = top;
    where_best[ids.local] = at;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride >>= 1u) {
        if ids.local < stride {
            let theirs = best[ids.local + stride];
            let index = where_best[ids.local + stride];
            let empty = where_best[ids.local] == params.n_cols;
            let wins = theirs > best[ids.local] || (theirs == best[ids.local] && index < where_best[ids.local]);
            if index < params.n_cols && (wins || empty) {
                best[ids.local] = theirs;
                where_best[ids.local] = index;
            }
        }
        workgroupBarrier();
    }
    if ids.local == 0u {
        picks[params.pick0 + row] = where_best[0];
    }
}
