// Q4_K rows as in the file: nine vec4 per superblock of 256, a header and eight of nibbles. `row` is the row's first
// vec4; a part is one group of 32, which shares its two vec4 with the neighbouring group in the other half-bytes.
//# include "shared/six_bits.wgsl"

fn ${src}_quad(quants: u32, s: vec2f) -> vec4f {
    return s.x * vec4f(unpack4xI8(quants & 0x0f0f0f0fu)) - s.y;
}

fn ${src}_unpack(row: u32, cols: u32, part: u32) -> array<vec4f, 8> {
    let block = row + 9u * (part >> 3u);
    let group = part & 7u;
    let at = block + 1u + 2u * (group >> 1u);
    let shift = vec4u(4u * (group & 1u));
    let a = ${src}[at] >> shift;
    let b = ${src}[at + 1u] >> shift;
    let s = ${src}_scale_and_min(${src}[block], group);
    return array<vec4f, 8>(
        ${src}_quad(a.x, s), ${src}_quad(a.y, s), ${src}_quad(a.z, s), ${src}_quad(a.w, s),
        ${src}_quad(b.x, s), ${src}_quad(b.y, s), ${src}_quad(b.z, s), ${src}_quad(b.w, s),
    );
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let block = row + 9u * (i >> 6u);
    let group = (i >> 3u) & 7u;
    let words = ${src}[block + 1u + 2u * (group >> 1u) + ((i >> 2u) & 1u)];
    return ${src}_quad(words[i & 3u] >> (4u * (group & 1u)), ${src}_scale_and_min(${src}[block], group));
}
