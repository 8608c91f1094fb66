// Q4_K and Q5_K: scales (x, y) and minima (z, w) of two adjacent sub-blocks. A super-block has eight. The header is one
// vec4: d and dmin (f16) in word x, then six bits per scale and per minimum.
//
// Sub-blocks 0 to 3 have them in the low six bits of the bytes of y and z. For sub-blocks 4 to 7 the low four bits are
// the nibbles of w. Their upper two bits are the top bits of the bytes of y and z.
fn ${src}_scales_and_mins(header: vec4u, pair: u32) -> vec4f {
    let words = header.yzw >> vec3u((pair & 1u) << 4u);
    let bytes = vec4u(words.x, words.x >> 8u, words.y, words.y >> 8u);
    let nibbles = vec4u(words.z, words.z >> 8u, words.z >> 4u, words.z >> 12u) & vec4u(15u);
    let second = nibbles | ((bytes >> vec4u(2u)) & vec4u(48u));
    return unpack2x16float(header.x).xxyy * vec4f(select(bytes & vec4u(63u), second, pair >= 2u));
}

// The header of a super-block, which its chunks share.
alias ${src}_Header = vec4u;

fn ${src}_affine(header: vec4u, chunk: u32) -> vec4f {
    let s = ${src}_scales_and_mins(header, (chunk >> 1u) & 3u);
    return ${src}_mantissa_affine(s.xy, -s.zw);
}

// Scale and minimum of one sub-block.
fn ${src}_scale_and_min(header: vec4u, sub_block: u32) -> vec2f {
    let s = ${src}_scales_and_mins(header, sub_block >> 1u);
    return select(s.xz, s.yw, (sub_block & 1u) == 1u);
}
