// Q2_K rows in three planes. First the two-bit quants, four vec4 per super-block of 256. Then scales and minima of its 16
// sub-blocks of 16, one vec4. Then d and dmin (f16) of the super-block, one word. `row` is the row's first vec4.
//
// A chunk is two runs of 16 values, 32 values apart. One vec4 of quants holds two chunks. The header is the scales of a
// super-block.
//# include "shared/plane.wgsl"

// Scales, then minima, of sub-blocks 2 · `pair` and 2 · `pair` + 1 of the row.
fn ${src}_scales(row: u32, cols: u32, pair: u32) -> vec4f {
    let blocks = cols >> 8u;
    let super_block = pair >> 3u;
    let word = ${src}_word(row, 16u * blocks + (pair >> 1u));
    let s = vec4u(word >> (16u * (pair & 1u))) >> vec4u(0u, 8u, 4u, 12u);
    let d_dmin = unpack2x16float(${src}_word(row, 20u * blocks + super_block));
    return d_dmin.xxyy * vec4f(s & vec4u(15u));
}

fn ${src}_quad(quants: u32, scale: f32, least: f32) -> vec4f {
    return scale * vec4f(unpack4xI8(quants & 0x03030303u)) - least;
}

struct ${src}_Header { bytes: vec4u, d_dmin: u32 }

fn ${src}_header(row: u32, cols: u32, super_block: u32) -> ${src}_Header {
    let blocks = cols >> 8u;
    return ${src}_Header(${src}_at(row, 4u * blocks + super_block), ${src}_word(row, 20u * blocks + super_block));
}

fn ${src}_affine(header: ${src}_Header, chunk: u32) -> vec4f {
    let words = select(header.bytes.xy, header.bytes.zw, (chunk & 4u) == 4u);
    let bytes = select(words.x, words.y, (chunk & 2u) == 2u) >> (8u * (chunk & 1u));
    // The second run is 32 values on, two bytes further. The low nibble is the scale, the high nibble the minimum.
    let s = vec4f(vec4u(bytes, bytes >> 16u, bytes >> 4u, bytes >> 20u) & vec4u(15u)) * unpack2x16float(header.d_dmin).xxyy;
    return ${src}_mantissa_affine(s.xy, -s.zw);
}

fn ${src}_mantissas(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
    let q = ${src}_at(row, 2u * (chunk >> 2u) + (chunk & 1u)) >> vec4u(2u * (chunk & 2u));
    return array<vec4f, 8>(
        ${src}_as_mantissa0(q.x), ${src}_as_mantissa0(q.y), ${src}_as_mantissa0(q.z), ${src}_as_mantissa0(q.w),
        ${src}_as_mantissa2(q.x), ${src}_as_mantissa2(q.y), ${src}_as_mantissa2(q.z), ${src}_as_mantissa2(q.w),
    );
}

fn ${src}_packed(row: u32, cols: u32, chunk: u32) -> array<u32, 8> {
    let q = ${src}_at(row, 2u * (chunk >> 2u) + (chunk & 1u)) >> vec4u(2u * (chunk & 2u));
    let low = q & vec4u(0x03030303u);
    let high = (q >> vec4u(2u)) & vec4u(0x03030303u);
    return array<u32, 8>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
}
//# with bits = 2, fields = [0, 2], quads = 8, runs = 2, chunks_per_header = 8
//# include "shared/affine.wgsl"
//# endwith

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let pair = i >> 3u;
    let q = ${src}_word(row, 8u * (pair >> 2u) + (i & 7u)) >> (2u * (pair & 3u));
    let s = ${src}_scales(row, cols, pair);
    let scale_and_min = select(s.xz, s.yw, (i & 4u) == 4u);
    return ${src}_quad(q, scale_and_min.x, scale_and_min.y);
}
