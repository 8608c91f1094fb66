// Q5_K rows as in the file: eleven vec4 per superblock of 256, a header, two of fifth bits and eight of nibbles. `row`
// is the row's first vec4; a part is one group of 32, which has bit g of every byte of fifth bits and shares its two
// vec4 of nibbles with the neighbouring group.
//# include "shared/six_bits.wgsl"

fn ${src}_quad(low: u32, high: u32, s: vec2f) -> vec4f {
    let q = (low & 0x0f0f0f0fu) | ((high & 0x01010101u) << 4u);
    return s.x * vec4f(unpack4xI8(q)) - s.y;
}

fn ${src}_unpack(row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    let block = row + 11u * (part >> 3u);
    let group = part & 7u;
    let at = block + 3u + 2u * (group >> 1u);
    let shift = vec4u(4u * (group & 1u));
    let a = ${src}[at] >> shift;
    let b = ${src}[at + 1u] >> shift;
    let c = ${src}[block + 1u] >> vec4u(group);
    let d = ${src}[block + 2u] >> vec4u(group);
    let s = ${src}_scale_and_min(${src}[block], group);
    return array<vec4f, 8>(
        ${src}_quad(a.x, c.x, s), ${src}_quad(a.y, c.y, s), ${src}_quad(a.z, c.z, s), ${src}_quad(a.w, c.w, s),
        ${src}_quad(b.x, d.x, s), ${src}_quad(b.y, d.y, s), ${src}_quad(b.z, d.z, s), ${src}_quad(b.w, d.w, s),
    );
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let block = row + 11u * (i >> 6u);
    let group = (i >> 3u) & 7u;
    let half = (i >> 2u) & 1u;
    let low = ${src}[block + 3u + 2u * (group >> 1u) + half];
    let high = ${src}[block + 1u + half];
    let s = ${src}_scale_and_min(${src}[block], group);
    return ${src}_quad(low[i & 3u] >> (4u * (group & 1u)), high[i & 3u] >> group, s);
}
