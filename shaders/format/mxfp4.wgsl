// MXFP4 rows in two planes: four-bit floats (E2M1), one vec4 per block of 32, then one byte per block, the exponent of its
// scale (E8M0). `row` is the row's first vec4. A chunk is one block.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> vec2f {
    let word = ${src}_word(row, (cols >> 3u) + (block >> 2u));
    let e = (word >> (8u * (block & 3u))) & 255u;
    // 2^(e - 128), half the scale, because `_quad` doubles. The two smallest are subnormal floats.
    return vec2f(bitcast<f32>(select((e - 1u) << 23u, 0x00200000u << (e & 1u), e < 2u)));
}

// Twice the eight E2M1 magnitudes are integers below 16. One u32 holds them as eight nibbles. The fourth bit of a quant is
// the sign.
//# set table = tables is defined and src in tables
//# if table
//# include "shared/level_table.wgsl"

//# endif
fn ${src}_${"computed_levels" if table else "levels"}(quants: u32) -> vec4f {
    let n = unpack4xU8(quants);
    let sizes = (vec4u(0xc8643210u) >> ((n & vec4u(7u)) << vec4u(2u))) & vec4u(15u);
    return vec4f(select(vec4i(sizes), -vec4i(sizes), n > vec4u(7u)));
}

fn ${src}_quad(quants: u32, scale: vec2f) -> vec4f {
    return scale.x * ${src}_levels(quants);
}
//# include "shared/plane.wgsl"
//# include "shared/nibbles.wgsl"
