// The 16 levels of a quantization type in workgroup memory. The format file computes them: `_computed_levels(quants)`
// returns the levels of four quants, one per byte. On a GPU, a lookup takes fewer instructions than that.
var<workgroup> ${src}_table: array<f32, 16>;

// Fills the table. A barrier must follow.
fn ${src}_fill_table(local: u32) {
    for (var i = local; i < 16u; i += WORKGROUP_SIZE) {
        ${src}_table[i] = ${src}_computed_levels(i).x;
    }
}

fn ${src}_levels(quants: u32) -> vec4f {
    let n = unpack4xU8(quants);
    return vec4f(${src}_table[n.x], ${src}_table[n.y], ${src}_table[n.z], ${src}_table[n.w]);
}
