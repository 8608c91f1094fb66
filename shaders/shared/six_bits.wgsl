// Scale and minimum of one of the eight groups of a superblock whose header is one vec4: two f16 units, then six bits
// per scale and minimum. Groups 0 to 3 have theirs in the low six bits of words y and z; groups 4 to 7 have four bits
// of each in word w and the upper two above those of y and z.
fn ${src}_scale_and_min(header: vec4u, group: u32) -> vec2f {
    let words = header.yzw >> vec3u((group & 3u) << 3u);
    let first = words.xy & vec2u(63u);
    let upper = ((words.xy >> vec2u(6u)) & vec2u(3u)) << vec2u(4u);
    let second = vec2u(words.z & 15u, (words.z >> 4u) & 15u) | upper;
    return unpack2x16float(header.x) * vec2f(select(first, second, group >= 4u));
}
