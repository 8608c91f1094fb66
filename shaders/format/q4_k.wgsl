// Q4_K rows as in the file: nine vec4 per super-block of 256, a header and eight of nibbles. `row` is the row's first vec4.
// A chunk is the nibbles of one vec4: 16 values of each of two neighbouring sub-blocks.
//# include "shared/k_scales.wgsl"

fn ${src}_quad(quants: u32, s: vec2f) -> vec4f {
    return s.x * vec4f(unpack4xI8(quants & 0x0f0f0f0fu)) - s.y;
}

fn ${src}_header(row: u32, cols: u32, super_block: u32) -> vec4u {
    return ${src}_at(row, 9u * super_block);
}

fn ${src}_mantissas(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
    let q = ${src}_at(row, 9u * (chunk >> 3u) + 1u + (chunk & 7u));
    return array<vec4f, 8>(
        ${src}_as_mantissa0(q.x), ${src}_as_mantissa0(q.y), ${src}_as_mantissa0(q.z), ${src}_as_mantissa0(q.w),
        ${src}_as_mantissa4(q.x), ${src}_as_mantissa4(q.y), ${src}_as_mantissa4(q.z), ${src}_as_mantissa4(q.w),
    );
}

fn ${src}_packed(row: u32, cols: u32, chunk: u32) -> array<u32, 8> {
    let q = ${src}_at(row, 9u * (chunk >> 3u) + 1u + (chunk & 7u));
    let low = q & vec4u(0x0f0f0f0fu);
    let high = (q >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
    return array<u32, 8>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
}
//# with bits = 4, fields = [0, 4], quads = 8, runs = 2, chunks_per_header = 8
//# include "shared/affine.wgsl"
//# endwith

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let first = 9u * (i >> 6u);
    let sub_block = (i >> 3u) & 7u;
    let words = ${src}_at(row, first + 1u + 2u * (sub_block >> 1u) + ((i >> 2u) & 1u));
    return ${src}_quad(words[i & 3u] >> (4u * (sub_block & 1u)), ${src}_scale_and_min(${src}_at(row, first), sub_block));
}
