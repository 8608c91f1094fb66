// IQ4_XS rows in two planes. First the indices, one vec4 per sub-block of 32. Then two words per super-block of 256: d
// (f16), the upper two bits of its eight scales, and their lower four bits. `row` is the row's first vec4.
// A chunk is one sub-block.
fn ${src}_scale(row: u32, cols: u32, chunk: u32) -> vec2f {
    let super_block = chunk >> 3u;
    let words = ${src}_at(row, (cols >> 5u) + (super_block >> 1u));
    let header = select(words.xy, words.zw, (super_block & 1u) == 1u);
    let sub_block = chunk & 7u;
    let low = (header.y >> (4u * sub_block)) & 15u;
    let high = (header.x >> (16u + 2u * sub_block)) & 3u;
    return vec2f(unpack2x16float(header.x).x * (f32(low | (high << 4u)) - 32.0));
}

fn ${src}_quad(quants: u32, scale: vec2f) -> vec4f {
    return scale.x * ${src}_levels(quants);
}
//# include "shared/plane.wgsl"
//# include "shared/iq4_levels.wgsl"
//# include "shared/nibbles.wgsl"
