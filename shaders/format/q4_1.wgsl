// Q4_1 rows in two planes: nibbles, one vec4 per block of 32, then one word per block with its f16 scale and minimum.
// `row` is the row's first vec4. A chunk is one block.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> vec2f {
    return unpack2x16float(${src}_word(row, (cols >> 3u) + block));
}

fn ${src}_quad(quants: u32, scale: vec2f) -> vec4f {
    return scale.x * vec4f(unpack4xI8(quants)) + scale.y;
}
//# include "shared/plane.wgsl"
//# include "shared/nibbles.wgsl"
