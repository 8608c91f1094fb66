// Rows that begin with 32 nibbles per block, one vec4 each. Byte j holds weight j in its low half and weight j + 16 in its
// high half. The format file brings `_scale(row, cols, block) -> vec2f` and `_quad(quants, scale) -> vec4f`. `_quad`
// makes four weights from one quant per byte. Of the vec2f, x is the scale and y the minimum. Formats without a minimum
// ignore y. With `five` bits it also brings `_fifth(row, cols, block) -> u32`.
//# if five is defined

// The lowest four bits, each moved to bit 4 of its own byte. The factor adds copies shifted by 0, 7, 14 and 21,
// so bit i lands at bit 8i.
fn ${src}_spread(bits: u32) -> u32 {
    return (((bits & 15u) * 0x00204081u) & 0x01010101u) << 4u;
}
//# endif

fn ${src}_unpack(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
    let q = ${src}_at(row, chunk);
    let low = q & vec4u(0x0f0f0f0fu);
    let high = (q >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
    let s = ${src}_scale(row, cols, chunk);
    //# if five is defined
    let h = ${src}_fifth(row, cols, chunk);
    return array<vec4f, 8>(
        ${src}_quad(low.x | ${src}_spread(h), s),
        ${src}_quad(low.y | ${src}_spread(h >> 4u), s),
        ${src}_quad(low.z | ${src}_spread(h >> 8u), s),
        ${src}_quad(low.w | ${src}_spread(h >> 12u), s),
        ${src}_quad(high.x | ${src}_spread(h >> 16u), s),
        ${src}_quad(high.y | ${src}_spread(h >> 20u), s),
        ${src}_quad(high.z | ${src}_spread(h >> 24u), s),
        ${src}_quad(high.w | ${src}_spread(h >> 28u), s),
    );
    //# else
    return array<vec4f, 8>(
        ${src}_quad(low.x, s), ${src}_quad(low.y, s), ${src}_quad(low.z, s), ${src}_quad(low.w, s),
        ${src}_quad(high.x, s), ${src}_quad(high.y, s), ${src}_quad(high.z, s), ${src}_quad(high.w, s),
    );
    //# endif
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let block = i >> 3u;
    let q = (${src}_word(row, 4u * block + (i & 3u)) >> (i & 4u)) & 0x0f0f0f0fu;
    //# if five is defined
    let h = ${src}_fifth(row, cols, block) >> (4u * (i & 7u));
    return ${src}_quad(q | ${src}_spread(h), ${src}_scale(row, cols, block));
    //# else
    return ${src}_quad(q, ${src}_scale(row, cols, block));
    //# endif
}
