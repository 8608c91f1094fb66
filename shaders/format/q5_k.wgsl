// Q5_K rows as in the file: eleven vec4 per super-block of 256, a header, two of fifth bits and eight of nibbles.
// `row` is the row's first vec4. A chunk is the nibbles of one vec4: 16 values of each of two neighbouring sub-blocks.
// Sub-block g has bit g of every byte of fifth bits.
//# include "shared/k_scales.wgsl"

fn ${src}_quad(low: u32, high: u32, s: vec2f) -> vec4f {
    let q = (low & 0x0f0f0f0fu) | ((high & 0x01010101u) << 4u);
    return s.x * vec4f(unpack4xI8(q)) - s.y;
}

fn ${src}_header(row: u32, cols: u32, super_block: u32) -> vec4u {
    return ${src}_at(row, 11u * super_block);
}

fn ${src}_packed(row: u32, cols: u32, chunk: u32) -> array<u32, 8> {
    let first = 11u * (chunk >> 3u);
    let q = ${src}_at(row, first + 3u + (chunk & 7u));
    let h = ${src}_at(row, first + 1u + (chunk & 1u)) >> vec4u(chunk & 6u);
    let low = (q & vec4u(0x0f0f0f0fu)) | ((h & vec4u(0x01010101u)) << vec4u(4u));
    let high = ((q >> vec4u(4u)) & vec4u(0x0f0f0f0fu)) | ((h & vec4u(0x02020202u)) << vec4u(3u));
    return array<u32, 8>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
}

fn ${src}_mantissas(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
    let q = ${src}_packed(row, cols, chunk);
    return array<vec4f, 8>(
        ${src}_as_mantissa0(q[0]), ${src}_as_mantissa0(q[1]), ${src}_as_mantissa0(q[2]), ${src}_as_mantissa0(q[3]),
        ${src}_as_mantissa0(q[4]), ${src}_as_mantissa0(q[5]), ${src}_as_mantissa0(q[6]), ${src}_as_mantissa0(q[7]),
    );
}
//# with bits = 5, fields = [0], quads = 8, runs = 2, chunks_per_header = 8
//# include "shared/affine.wgsl"
//# endwith

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let first = 11u * (i >> 6u);
    let sub_block = (i >> 3u) & 7u;
    let half = (i >> 2u) & 1u;
    let low = ${src}_at(row, first + 3u + 2u * (sub_block >> 1u) + half);
    let high = ${src}_at(row, first + 1u + half);
    let s = ${src}_scale_and_min(${src}_at(row, first), sub_block);
    return ${src}_quad(low[i & 3u] >> (4u * (sub_block & 1u)), high[i & 3u] >> sub_block, s);
}
