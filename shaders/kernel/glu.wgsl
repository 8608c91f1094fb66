// Gated linear unit (Shazeer 2020): out = f(gate) · up, four values per invocation. Rows of `gate_up` hold the gate, then
// the up values.
//# include reduce
//# with of = "vec4f"
//# include "shared/activation.wgsl"
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    let quads = params.n_cols / 4u;
    if i >= params.n_rows * quads {
        return;
    }
    let at = (i / quads) * 2u * quads + i % quads;
    out[i] = activate(gate_up[at]) * gate_up[at + quads];
}
