// Reduction over KV splits (flash-decoding, Dao et al. 2023). Split s left its sum, its maximum m_s and its total:
//
//   m = max_s m_s
//   out = (Σ_s exp(m_s - m) · sum_s) / (Σ_s exp(m_s - m) · total_s)
//# include reduce
//# if ROW_PER_WORKGROUP
// A workgroup makes a row. Where the row has fewer vec4s than the workgroup has lanes, several groups of lanes each sum a
// share of the splits. So more loads are in flight.
var<workgroup> rescales: array<f32, MAX_KV_SPLITS>;
var<workgroup> totals: array<f32, MAX_KV_SPLITS>;
var<workgroup> sums: array<vec4f, WORKGROUP_SIZE>;

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    let quads = params.head_dim / 4u;
    for (var s = ids.local; s < params.kv_splits; s += WORKGROUP_SIZE) {
        let tail = partials[(s * params.n_rows + row) * (quads + 1u) + quads];
        rescales[s] = tail.x;
        totals[s] = tail.y;
    }
    workgroupBarrier();
    var top = MASKED;
    for (var s = 0u; s < params.kv_splits; s++) {
        top = max(top, rescales[s]);
    }
    // All lanes have read the maxima before they become factors.
    workgroupBarrier();
    for (var s = ids.local; s < params.kv_splits; s += WORKGROUP_SIZE) {
        let rescale = exp(rescales[s] - top);
        rescales[s] = rescale;
        totals[s] *= rescale;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var s = 0u; s < params.kv_splits; s++) {
        total += totals[s];
    }
    // Number of lanes that share a vec4 of the row. A row wider than the workgroup takes several rounds.
    let lane_groups = max(WORKGROUP_SIZE / quads, 1u);
    for (var first = 0u; first < quads; first += WORKGROUP_SIZE) {
        let quad = first + ids.local % min(quads, WORKGROUP_SIZE);
        let lane_group = ids.local / quads;
        var sum = vec4f();
        if lane_group < lane_groups && quad < quads {
            for (var s = lane_group; s < params.kv_splits; s += lane_groups) {
                sum += rescales[s] * partials[(s * params.n_rows + row) * (quads + 1u) + quad];
            }
        }
        // Wait until all lanes have read `sums` of the previous round.
        workgroupBarrier();
        sums[ids.local] = sum;
        workgroupBarrier();
        if lane_group == 0u && quad < quads {
            for (var t = 1u; t < lane_groups; t++) {
                sum += sums[t * quads + ids.local];
            }
            out[row * quads + quad] = sum / total;
        }
    }
}
//# else
// One invocation per vec4 of the output.
fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let quads = params.head_dim / 4u;
    let i = global_index(ids, at_group, groups);
    if i >= params.n_rows * quads {
        return;
    }
    let row = i / quads;
    var top = MASKED;
    for (var s = 0u; s < params.kv_splits; s++) {
        top = max(top, partials[(s * params.n_rows + row) * (quads + 1u) + quads].x);
    }
    var sum = vec4f();
    var total = 0.0;
    for (var s = 0u; s < params.kv_splits; s++) {
        let at = (s * params.n_rows + row) * (quads + 1u);
        let rescale = exp(partials[at + quads].x - top);
        sum += rescale * partials[at + i % quads];
        total += rescale * partials[at + quads].y;
    }
    out[i] = sum / total;
}
//# endif
