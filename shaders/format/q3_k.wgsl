// Q3_K rows in four planes: high bits, two vec4 per superblock of 256; low two bits, four vec4; six-bit scales of 16
// groups, three words; their f16 unit. `row` is the row's first vec4; a part is 16 values of each of two neighbouring
// groups of 32. Group g of a superblock has bit g of every byte of high bits. A head is a superblock's
// scales.
//# include "shared/plane.wgsl"

// Scales of the two groups.
fn ${src}_scales(row: u32, cols: u32, part: u32) -> vec2f {
    let blocks = cols >> 8u;
    let block = part >> 3u;
    let r = part & 7u;
    let first = 24u * blocks + 3u * block;
    let half = 16u * (r & 1u);
    let low = ${src}_plane_word(row, first + ((r >> 1u) & 1u)) >> (4u * (r >> 2u) + half);
    let high = ${src}_plane_word(row, first + 2u) >> (2u * (r >> 1u) + half);
    let bytes = vec2u(0u, 8u);
    let s = ((vec2u(low) >> bytes) & vec2u(15u)) | (((vec2u(high) >> bytes) & vec2u(3u)) << vec2u(4u));
    return ${src}_plane_half(row, 54u * blocks + block) * (vec2f(s) - 32.0);
}

fn ${src}_quad(low: u32, high: u32, scale: f32) -> vec4f {
    let q = (low & 0x03030303u) | ((high & 0x01010101u) << 2u);
    return scale * (vec4f(unpack4xI8(q)) - 4.0);
}

struct ${src}_Head { words: vec3u, unit: f32 }

fn ${src}_head(row: u32, cols: u32, group: u32) -> ${src}_Head {
    let blocks = cols >> 8u;
    let first = 24u * blocks + 3u * group;
    let words = vec3u(
        ${src}_plane_word(row, first),
        ${src}_plane_word(row, first + 1u),
        ${src}_plane_word(row, first + 2u),
    );
    return ${src}_Head(words, ${src}_plane_half(row, 54u * blocks + group));
}

fn ${src}_part(head: ${src}_Head, row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    let blocks = cols >> 8u;
    let block = part >> 3u;
    let pair = (part >> 1u) & 1u;
    let half = part & 1u;
    let q = ${src}[${src}_at(row, 2u * blocks + 2u * (part >> 2u) + half)] >> vec4u(4u * pair);
    let p = q >> vec4u(2u);
    let h = ${src}[${src}_at(row, 2u * block + half)] >> vec4u((part & 4u) + 2u * pair);
    let i = h >> vec4u(1u);
    let shift = 8u * half + (part & 4u);
    let low = select(head.words.x, head.words.y, pair == 1u) >> shift;
    let high = head.words.z >> (shift + 2u * pair);
    let six = (vec2u(low, low >> 16u) & vec2u(15u)) | ((vec2u(high, high >> 16u) & vec2u(3u)) << vec2u(4u));
    let s = head.unit * (vec2f(six) - 32.0);
    return array<vec4f, 8>(
        ${src}_quad(q.x, h.x, s.x), ${src}_quad(q.y, h.y, s.x),
        ${src}_quad(q.z, h.z, s.x), ${src}_quad(q.w, h.w, s.x),
        ${src}_quad(p.x, i.x, s.y), ${src}_quad(p.y, i.y, s.y),
        ${src}_quad(p.z, i.z, s.y), ${src}_quad(p.w, i.w, s.y),
    );
}

fn ${src}_unpack(row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    return ${src}_part(${src}_head(row, cols, part >> 3u), row, cols, part);
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let part = i >> 3u;
    let word = i & 7u;
    let low = ${src}_plane_word(row, 8u * ((cols >> 8u) + (part >> 2u)) + word) >> (2u * (part & 3u));
    let high = ${src}_plane_word(row, 8u * (part >> 3u) + word) >> (part & 7u);
    let s = ${src}_scales(row, cols, part);
    return ${src}_quad(low, high, select(s.x, s.y, word >= 4u));
}
