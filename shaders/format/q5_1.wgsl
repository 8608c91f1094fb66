// Q5_1 rows in two planes. First the low nibbles, one vec4 per block of 32. Then two words per block: its f16 scale and
// minimum, and its fifth bits, weight i in bit i. `row` is the row's first vec4. A chunk is one block.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> vec2f {
    return unpack2x16float(${src}_word(row, (cols >> 3u) + 2u * block));
}

fn ${src}_fifth(row: u32, cols: u32, block: u32) -> u32 {
    return ${src}_word(row, (cols >> 3u) + 2u * block + 1u);
}

fn ${src}_quad(quants: u32, scale: vec2f) -> vec4f {
    return scale.x * vec4f(unpack4xI8(quants)) + scale.y;
}
//# include "shared/plane.wgsl"
//# with five = true
//# include "shared/nibbles.wgsl"
//# endwith
