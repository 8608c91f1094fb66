// Q2_K rows in three planes. First the two-bit quants, four vec4 per super-block of 256. Then scales and minima of its 16
// groups, one vec4. Then their f16 units, one word. `row` is the row's first vec4.
//
// A chunk is 16 values of each of two neighbouring groups of 32. It shares one vec4 of quants with the two other groups of
// its 128 values. The header is the scales of a super-block.
//# include "shared/plane.wgsl"

// Scales of the two groups, then their minima.
fn ${src}_scales(row: u32, cols: u32, chunk: u32) -> vec4f {
    let blocks = cols >> 8u;
    let block = chunk >> 3u;
    let word = ${src}_word(row, 16u * blocks + (chunk >> 1u));
    let s = vec4u(word >> (16u * (chunk & 1u))) >> vec4u(0u, 8u, 4u, 12u);
    let units = unpack2x16float(${src}_word(row, 20u * blocks + block));
    return units.xxyy * vec4f(s & vec4u(15u));
}

fn ${src}_quad(quants: u32, scale: f32, least: f32) -> vec4f {
    return scale * vec4f(unpack4xI8(quants & 0x03030303u)) - least;
}

struct ${src}_Header { bytes: vec4u, units: u32 }

fn ${src}_header(row: u32, cols: u32, group: u32) -> ${src}_Header {
    let blocks = cols >> 8u;
    return ${src}_Header(${src}_at(row, 4u * blocks + group), ${src}_word(row, 20u * blocks + group));
}

fn ${src}_affine(header: ${src}_Header, chunk: u32) -> vec4f {
    let words = select(header.bytes.xy, header.bytes.zw, (chunk & 4u) == 4u);
    let bytes = select(words.x, words.y, (chunk & 2u) == 2u) >> (8u * (chunk & 1u));
    let s = vec4f(vec4u(bytes, bytes >> 16u, bytes >> 4u, bytes >> 20u) & vec4u(15u)) * unpack2x16float(header.units).xxyy;
    return ${src}_mantissa_affine(s.xy, -s.zw);
}

fn ${src}_raw(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
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
    let chunk = i >> 3u;
    let q = ${src}_word(row, 8u * (chunk >> 2u) + (i & 7u)) >> (2u * (chunk & 3u));
    let s = ${src}_scales(row, cols, chunk);
    let group = select(s.xz, s.yw, (i & 4u) == 4u);
    return ${src}_quad(q, group.x, group.y);
}
