// Q6_K rows in four planes. Per super-block of 256: low four bits, eight vec4; high two bits, four vec4. Then signed byte
// scales of its 16 sub-blocks of 16, one vec4, and d (f16). `row` is the row's first vec4.
//
// A chunk is the nibbles of one vec4: two runs of 16 values, 64 apart. The header is the scales of a super-block.
//# include "shared/plane.wgsl"

// Scales of sub-blocks 2 · `pair` and 2 · `pair` + 1 of the row.
fn ${src}_scales(row: u32, cols: u32, pair: u32) -> vec2f {
    let blocks = cols >> 8u;
    let s = unpack4xI8(${src}_word(row, 48u * blocks + (pair >> 1u)));
    let scales = select(s.xy, s.zw, (pair & 1u) == 1u);
    return ${src}_plane_half(row, 104u * blocks + (pair >> 3u)) * vec2f(scales);
}

fn ${src}_quad(low: u32, high: u32, scale: f32) -> vec4f {
    let q = (low & 0x0f0f0f0fu) | ((high & 0x03030303u) << 4u);
    return scale * (vec4f(unpack4xI8(q)) - 32.0);
}

struct ${src}_Header { scales: vec4u, d: f32 }

fn ${src}_header(row: u32, cols: u32, super_block: u32) -> ${src}_Header {
    let blocks = cols >> 8u;
    return ${src}_Header(
        ${src}_at(row, 12u * blocks + super_block),
        ${src}_plane_half(row, 104u * blocks + super_block),
    );
}

fn ${src}_affine(header: ${src}_Header, chunk: u32) -> vec4f {
    let bytes = select(header.scales.xy, header.scales.zw, (chunk & 4u) == 4u) << vec2u(24u - 8u * (chunk & 3u));
    let s = header.d * vec2f(bitcast<vec2i>(bytes) >> vec2u(24u));
    return ${src}_mantissa_affine(s, -32.0 * s);
}

fn ${src}_packed(row: u32, cols: u32, chunk: u32) -> array<u32, 8> {
    let quarter = chunk & 3u;
    let q = ${src}_at(row, chunk);
    let h = ${src}_at(row, 8u * (cols >> 8u) + 2u * (chunk >> 2u) + (quarter & 1u)) >> vec4u(quarter & 2u);
    let low = (q & vec4u(0x0f0f0f0fu)) | ((h & vec4u(0x03030303u)) << vec4u(4u));
    // The high bits of the second run, 64 values on, are at bits 4 and 5 already.
    let high = ((q >> vec4u(4u)) & vec4u(0x0f0f0f0fu)) | (h & vec4u(0x30303030u));
    return array<u32, 8>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
}

fn ${src}_mantissas(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
    let q = ${src}_packed(row, cols, chunk);
    return array<vec4f, 8>(
        ${src}_as_mantissa0(q[0]), ${src}_as_mantissa0(q[1]), ${src}_as_mantissa0(q[2]), ${src}_as_mantissa0(q[3]),
        ${src}_as_mantissa0(q[4]), ${src}_as_mantissa0(q[5]), ${src}_as_mantissa0(q[6]), ${src}_as_mantissa0(q[7]),
    );
}
//# with bits = 6, fields = [0], quads = 8, runs = 2, chunks_per_header = 8
//# include "shared/affine.wgsl"
//# endwith

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let pair = i >> 3u;
    let j = pair & 3u;
    let word = i & 7u;
    let low = ${src}_word(row, 16u * (pair >> 2u) + 8u * (j & 1u) + word) >> (4u * (j >> 1u));
    let high = ${src}_word(row, 32u * (cols >> 8u) + 8u * (pair >> 2u) + word) >> (2u * j);
    let s = ${src}_scales(row, cols, pair);
    return ${src}_quad(low, high, select(s.x, s.y, word >= 4u));
}
