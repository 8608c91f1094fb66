// Unfused attention, step 2 of 3: softmax over each row of scores in place, one workgroup per row.
//# include reduce
var<workgroup> maxima: array<f32, WORKGROUP_SIZE>;

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    let first = row * params.n_cols;
    var top = MASKED;
    for (var i = ids.local; i < params.n_cols; i += WORKGROUP_SIZE) {
        top = max(top, scores[first + i]);
    }
    let group_top = partial_max(top);
    if writes_partial(ids) {
        maxima[partial_index(ids)] = group_top;
    }
    workgroupBarrier();
    for (var i = 0u; i < partial_count(ids); i++) {
        top = max(top, maxima[i]);
    }
    var sum = 0.0;
    for (var i = ids.local; i < params.n_cols; i += WORKGROUP_SIZE) {
        let e = exp(scores[first + i] - top);
        scores[first + i] = e;
        sum += e;
    }
    let total = workgroup_sum(ids, sum);
    for (var i = ids.local; i < params.n_cols; i += WORKGROUP_SIZE) {
        scores[first + i] = scores[first + i] / total;
    }
}
