// Two values as f16 in one word, the first in the low half. They are rounded to the nearest, and ties to even.
// `pack2x16float` rounds as the device does: AMD and DX12 towards zero, so that block scales would differ.
fn ${src}_pack_f16(v: vec2f) -> u32 {
    let bits = bitcast<vec2u>(v);
    let magnitude = bits & vec2u(0x7fffffffu);
    // The exponent's bias changes from 127 to 15, and the mantissa loses 13 bits. A carry out of it is right too.
    let odd = (magnitude >> vec2u(13u)) & vec2u(1u);
    let normal = min((magnitude - vec2u(0x38000000u) + vec2u(0xfffu) + odd) >> vec2u(13u), vec2u(0x7c00u));
    // Below 2^-14: the last bit of 0.5 is worth 2^-24, as that of a subnormal f16. So the sum is rounded to it.
    let subnormal = bitcast<vec2u>(abs(v) + vec2f(0.5)) - vec2u(0x3f000000u);
    let number = select(normal, subnormal, magnitude < vec2u(0x38800000u));
    let half = select(number, vec2u(0x7e00u), magnitude > vec2u(0x7f800000u)) | ((bits >> vec2u(16u)) & vec2u(0x8000u));
    return half.x | (half.y << 16u);
}
