// IQ4_NL rows in two planes: indices, one vec4 per block of 32, then one f16 scale per block.
// `row` is the row's first vec4. A chunk is one block.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> vec2f {
    return vec2f(${src}_plane_half(row, (cols >> 2u) + block));
}

fn ${src}_quad(quants: u32, scale: vec2f) -> vec4f {
    return scale.x * ${src}_levels(quants);
}
//# include "shared/plane.wgsl"
//# include "shared/iq4_levels.wgsl"
//# include "shared/nibbles.wgsl"
