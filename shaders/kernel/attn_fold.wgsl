// Adds up the parts of attention over spans of positions: sums and totals are brought to the common maximum.
//# include reduce
//# if TOGETHER
// A workgroup makes a row. Its invocations take turns over the parts, so that as many of them are on their way from memory
// at a time.
var<workgroup> fades: array<f32, MOST>;
var<workgroup> totals: array<f32, MOST>;
var<workgroup> sums: array<vec4f, LANES>;

@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    let quads = params.head_dim / 4u;
    for (var s = ids.local; s < params.splits; s += LANES) {
        let tail = parts[(s * params.n_rows + row) * (quads + 1u) + quads];
        fades[s] = tail.x;
        totals[s] = tail.y;
    }
    workgroupBarrier();
    var top = -3.0e38;
    for (var s = 0u; s < params.splits; s++) {
        top = max(top, fades[s]);
    }
    workgroupBarrier();
    for (var s = ids.local; s < params.splits; s += LANES) {
        let fade = exp(fades[s] - top);
        fades[s] = fade;
        totals[s] *= fade;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var s = 0u; s < params.splits; s++) {
        total += totals[s];
    }
    // So many invocations share a vec4 of the row; a row wider than the workgroup takes several rounds.
    let turns = max(LANES / quads, 1u);
    for (var first = 0u; first < quads; first += LANES) {
        let quad = first + ids.local % min(quads, LANES);
        let turn = ids.local / quads;
        var sum = vec4f();
        if turn < turns && quad < quads {
            for (var s = turn; s < params.splits; s += turns) {
                sum += fades[s] * parts[(s * params.n_rows + row) * (quads + 1u) + quad];
            }
        }
        workgroupBarrier();
        sums[ids.local] = sum;
        workgroupBarrier();
        if turn == 0u && quad < quads {
            for (var t = 1u; t < turns; t++) {
                sum += sums[t * quads + ids.local];
            }
            out[row * quads + quad] = sum / total;
        }
    }
}
//# else
// One invocation per vec4 of the output.
@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let quads = params.head_dim / 4u;
    let i = global_index(ids, at_group, groups);
    if i >= params.n_rows * quads {
        return;
    }
    let row = i / quads;
    var top = -3.0e38;
    for (var s = 0u; s < params.splits; s++) {
        top = max(top, parts[(s * params.n_rows + row) * (quads + 1u) + quads].x);
    }
    var sum = vec4f();
    var total = 0.0;
    for (var s = 0u; s < params.splits; s++) {
        let at = (s * params.n_rows + row) * (quads + 1u);
        let fade = exp(parts[at + quads].x - top);
        sum += fade * parts[at + i % quads];
        total += fade * parts[at + quads].y;
    }
    out[i] = sum / total;
}
//# endif
