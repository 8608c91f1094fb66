// Q5_K rows as in the file: eleven vec4 per superblock of 256, a header, two of fifth bits and eight of nibbles. `row`
// is the row's first vec4; a part is the low and the high half-bytes of one vec4, 16 values of each of two neighbouring
// groups. A head is the header. Group g has bit g of every byte of fifth bits.
//# include "shared/six_bits.wgsl"

fn ${src}_quad(low: u32, high: u32, s: vec2f) -> vec4f {
    let q = (low & 0x0f0f0f0fu) | ((high & 0x01010101u) << 4u);
    return s.x * vec4f(unpack4xI8(q)) - s.y;
}

fn ${src}_head(row: u32, cols: u32, group: u32) -> vec4u {
    return ${src}[${src}_at(row, 11u * group)];
}

fn ${src}_part(head: vec4u, row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    let block = 11u * (part >> 3u);
    let pair = (part >> 1u) & 3u;
    let q = ${src}[${src}_at(row, block + 3u + (part & 7u))];
    let p = q >> vec4u(4u);
    let h = ${src}[${src}_at(row, block + 1u + (part & 1u))] >> vec4u(2u * pair);
    let i = h >> vec4u(1u);
    let s = ${src}_scales_and_mins(head, pair);
    return array<vec4f, 8>(
        ${src}_quad(q.x, h.x, s.xz), ${src}_quad(q.y, h.y, s.xz),
        ${src}_quad(q.z, h.z, s.xz), ${src}_quad(q.w, h.w, s.xz),
        ${src}_quad(p.x, i.x, s.yw), ${src}_quad(p.y, i.y, s.yw),
        ${src}_quad(p.z, i.z, s.yw), ${src}_quad(p.w, i.w, s.yw),
    );
}

fn ${src}_unpack(row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    return ${src}_part(${src}_head(row, cols, part >> 3u), row, cols, part);
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let block = 11u * (i >> 6u);
    let group = (i >> 3u) & 7u;
    let half = (i >> 2u) & 1u;
    let low = ${src}[${src}_at(row, block + 3u + 2u * (group >> 1u) + half)];
    let high = ${src}[${src}_at(row, block + 1u + half)];
    let s = ${src}_scale_and_min(${src}[${src}_at(row, block)], group);
    return ${src}_quad(low[i & 3u] >> (4u * (group & 1u)), high[i & 3u] >> group, s);
}
