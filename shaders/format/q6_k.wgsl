// Q6_K rows in four planes: low four bits, eight vec4 per superblock of 256; high two bits, four vec4; signed byte
// scales of 16 groups, one vec4; their f16 unit. `row` is the row's first vec4; a part is 32 values, two groups. Part
// 4h + j of a superblock has half j / 2 of its bytes of low bits, and bits 2j and 2j + 1 of its bytes of high bits.
//# include "shared/plane.wgsl"

// Scales of the two groups.
fn ${src}_scales(row: u32, cols: u32, part: u32) -> vec2f {
    let blocks = cols >> 8u;
    let s = unpack4xI8(${src}_plane_word(row, 48u * blocks + (part >> 1u)));
    let pair = select(s.xy, s.zw, (part & 1u) == 1u);
    return ${src}_plane_half(row, 104u * blocks + (part >> 3u)) * vec2f(pair);
}

fn ${src}_quad(low: u32, high: u32, scale: f32) -> vec4f {
    let q = (low & 0x0f0f0f0fu) | ((high & 0x03030303u) << 4u);
    return scale * (vec4f(unpack4xI8(q)) - 32.0);
}

fn ${src}_unpack(row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    let j = part & 3u;
    let at = row + 4u * (part >> 2u) + 2u * (j & 1u);
    let shift = vec4u(4u * (j >> 1u));
    let a = ${src}[at] >> shift;
    let b = ${src}[at + 1u] >> shift;
    let upper = row + 8u * (cols >> 8u) + 2u * (part >> 2u);
    let c = ${src}[upper] >> vec4u(2u * j);
    let d = ${src}[upper + 1u] >> vec4u(2u * j);
    let s = ${src}_scales(row, cols, part);
    return array<vec4f, 8>(
        ${src}_quad(a.x, c.x, s.x), ${src}_quad(a.y, c.y, s.x),
        ${src}_quad(a.z, c.z, s.x), ${src}_quad(a.w, c.w, s.x),
        ${src}_quad(b.x, d.x, s.y), ${src}_quad(b.y, d.y, s.y),
        ${src}_quad(b.z, d.z, s.y), ${src}_quad(b.w, d.w, s.y),
    );
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let part = i >> 3u;
    let j = part & 3u;
    let word = i & 7u;
    let low = ${src}_plane_word(row, 16u * (part >> 2u) + 8u * (j & 1u) + word) >> (4u * (j >> 1u));
    let high = ${src}_plane_word(row, 32u * (cols >> 8u) + 8u * (part >> 2u) + word) >> (2u * j);
    let s = ${src}_scales(row, cols, part);
    return ${src}_quad(low, high, select(s.x, s.y, word >= 4u));
}
