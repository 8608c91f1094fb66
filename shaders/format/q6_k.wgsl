// Q6_K rows in four planes: low four bits, eight vec4 per superblock of 256; high two bits, four vec4; signed byte
// scales of 16 groups, one vec4; their f16 unit. `row` is the row's first vec4; a part is the low and the high half-bytes
// of one vec4, 16 values each that lie 64 apart. A head is a superblock's scales.
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

struct ${src}_Head { scales: vec4u, unit: f32 }

fn ${src}_head(row: u32, cols: u32, group: u32) -> ${src}_Head {
    let blocks = cols >> 8u;
    return ${src}_Head(${src}[${src}_at(row, 12u * blocks + group)], ${src}_plane_half(row, 104u * blocks + group));
}

fn ${src}_part(head: ${src}_Head, row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    let blocks = cols >> 8u;
    let group = part & 3u;
    let q = ${src}[${src}_at(row, part)];
    let p = q >> vec4u(4u);
    let h = ${src}[${src}_at(row, 8u * blocks + 2u * (part >> 2u) + (group & 1u))] >> vec4u(group & 2u);
    let i = h >> vec4u(4u);
    let bytes = select(head.scales.xy, head.scales.zw, (part & 4u) == 4u) << vec2u(24u - 8u * group);
    let s = head.unit * vec2f(bitcast<vec2i>(bytes) >> vec2u(24u));
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
    let j = part & 3u;
    let word = i & 7u;
    let low = ${src}_plane_word(row, 16u * (part >> 2u) + 8u * (j & 1u) + word) >> (4u * (j >> 1u));
    let high = ${src}_plane_word(row, 32u * (cols >> 8u) + 8u * (part >> 2u) + word) >> (2u * j);
    let s = ${src}_scales(row, cols, part);
    return ${src}_quad(low, high, select(s.x, s.y, word >= 4u));
}
