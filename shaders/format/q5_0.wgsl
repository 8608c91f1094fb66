// Q5_0 rows in three planes. Per block of 32: low nibbles, one vec4. Then fifth bits, one word, weight i in bit i. Then
// one f16 scale. `row` is the row's first vec4. A chunk is one block.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> vec2f {
    return vec2f(${src}_plane_half(row, 10u * (cols >> 5u) + block));
}

fn ${src}_fifth(row: u32, cols: u32, block: u32) -> u32 {
    return ${src}_word(row, (cols >> 3u) + block);
}

fn ${src}_quad(quants: u32, scale: vec2f) -> vec4f {
    return scale.x * (vec4f(unpack4xI8(quants)) - 16.0);
}
//# include "shared/plane.wgsl"
//# with five = true
//# include "shared/nibbles.wgsl"
//# endwith
