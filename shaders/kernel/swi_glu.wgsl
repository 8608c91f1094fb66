// SwiGLU (Shazeer 2020): out = silu(gate) · up, four values per invocation.
//# include reduce

@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    if i >= params.n / 4u {
        return;
    }
    let g = gate[i];
    out[i] = g / (vec4f(1.0) + exp(-g)) * up[i];
}
