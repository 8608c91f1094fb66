// Q3_K rows in four planes. Per super-block of 256: high bits, two vec4; low two bits, four vec4; six-bit scales of its 16
// sub-blocks of 16, three words; d (f16). `row` is the row's first vec4.
//
// A chunk is two runs of 16 values, 32 values apart. The high bits of the 32 values from 32 · g on are bit g of each byte.
// The header is the scales of a super-block.
//# include "shared/plane.wgsl"

// Scales of sub-blocks 2 · `pair` and 2 · `pair` + 1 of the row.
fn ${src}_scales(row: u32, cols: u32, pair: u32) -> vec2f {
    let blocks = cols >> 8u;
    let super_block = pair >> 3u;
    let r = pair & 7u;
    let first = 24u * blocks + 3u * super_block;
    let half = 16u * (r & 1u);
    let low = ${src}_word(row, first + ((r >> 1u) & 1u)) >> (4u * (r >> 2u) + half);
    let high = ${src}_word(row, first + 2u) >> (2u * (r >> 1u) + half);
    let bytes = vec2u(0u, 8u);
    let s = ((vec2u(low) >> bytes) & vec2u(15u)) | (((vec2u(high) >> bytes) & vec2u(3u)) << vec2u(4u));
    return ${src}_plane_half(row, 54u * blocks + super_block) * (vec2f(s) - 32.0);
}

fn ${src}_quad(low: u32, high: u32, scale: f32) -> vec4f {
    let q = (low & 0x03030303u) | ((high & 0x01010101u) << 2u);
    return scale * (vec4f(unpack4xI8(q)) - 4.0);
}

struct ${src}_Header { words: vec3u, d: f32 }

fn ${src}_header(row: u32, cols: u32, super_block: u32) -> ${src}_Header {
    let blocks = cols >> 8u;
    let first = 24u * blocks + 3u * super_block;
    let words = vec3u(
        ${src}_word(row, first),
        ${src}_word(row, first + 1u),
        ${src}_word(row, first + 2u),
    );
    return ${src}_Header(words, ${src}_plane_half(row, 54u * blocks + super_block));
}

fn ${src}_affine(header: ${src}_Header, chunk: u32) -> vec4f {
    // Low four bits of scale s: word s / 4 % 2, byte s % 4, nibble s / 8. High two bits: the third word, byte s % 4, from bit
    // 2 · (s / 4) on. The runs of a chunk have the scales s and s + 2.
    let shift = 8u * (chunk & 1u) + (chunk & 4u);
    let low = select(header.words.x, header.words.y, (chunk & 2u) == 2u) >> shift;
    let high = header.words.z >> (shift + (chunk & 2u));
    let six = (vec2u(low, low >> 16u) & vec2u(15u)) | ((vec2u(high, high >> 16u) & vec2u(3u)) << vec2u(4u));
    let s = header.d * (vec2f(six) - 32.0);
    return ${src}_mantissa_affine(s, -4.0 * s);
}

fn ${src}_packed(row: u32, cols: u32, chunk: u32) -> array<u32, 8> {
    let blocks = cols >> 8u;
    let half = chunk & 1u;
    let q = ${src}_at(row, 2u * blocks + 2u * (chunk >> 2u) + half) >> vec4u(2u * (chunk & 2u));
    let h = ${src}_at(row, 2u * (chunk >> 3u) + half) >> vec4u(chunk & 6u);
    let low = (q & vec4u(0x03030303u)) | ((h & vec4u(0x01010101u)) << vec4u(2u));
    let high = ((q >> vec4u(2u)) & vec4u(0x03030303u)) | ((h & vec4u(0x02020202u)) << vec4u(1u));
    return array<u32, 8>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
}

fn ${src}_mantissas(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
    let q = ${src}_packed(row, cols, chunk);
    return array<vec4f, 8>(
        ${src}_as_mantissa0(q[0]), ${src}_as_mantissa0(q[1]), ${src}_as_mantissa0(q[2]), ${src}_as_mantissa0(q[3]),
        ${src}_as_mantissa0(q[4]), ${src}_as_mantissa0(q[5]), ${src}_as_mantissa0(q[6]), ${src}_as_mantissa0(q[7]),
    );
}
//# with bits = 3, fields = [0], quads = 8, runs = 2, chunks_per_header = 8
//# include "shared/affine.wgsl"
//# endwith

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let pair = i >> 3u;
    let word = i & 7u;
    let low = ${src}_word(row, 8u * ((cols >> 8u) + (pair >> 2u)) + word) >> (2u * (pair & 3u));
    let high = ${src}_word(row, 8u * (pair >> 3u) + word) >> (pair & 7u);
    let s = ${src}_scales(row, cols, pair);
    return ${src}_quad(low, high, select(s.x, s.y, word >= 4u));
}
