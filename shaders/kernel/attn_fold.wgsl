// Adds up the parts of attention over spans of positions: sums and totals are brought to the common maximum. One
// invocation per vec4 of the output.
//# include reduce

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
