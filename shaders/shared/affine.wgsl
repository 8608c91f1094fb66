// Dequantizes weights s·q + o, where the quant q has `bits` bits. A chunk has `runs` runs, with one (s, o) each. Bit trick:
//
//   q in the highest mantissa bits of 1.0 gives the float m = 1 + q / 2^bits, without a conversion.
//   s·q + o = (2^bits · s)·m + (o - 2^bits · s).
//
// The format file brings four functions:
// - `_header(row, cols, i)`: header `i`, the scales that `chunks_per_header` chunks share;
// - `_affine(header, chunk)`: scales (x, y) and offsets (z, w) of the runs, for m instead of q;
// - `_mantissas(row, cols, chunk)`: the values m;
// - `_packed(row, cols, chunk)`: the quants as bytes, for integer dot products.
//# for first in fields
// m for the field at bit `first` of each byte of w.
fn ${src}_as_mantissa${first}(w: u32) -> vec4f {
    let bits = vec4u(
        //# for byte in range(4)
        //# set left = 23 - bits - first - 8 * byte
        w ${"<<" if left >= 0 else ">>"} ${left | abs}u,
        //# endfor
    );
    return bitcast<vec4f>((bits & vec4u(${(2 ** bits - 1) * 2 ** (23 - bits)}u)) | vec4u(0x3f800000u));
}

//# endfor
// Converts scales and offsets of q to those of m = 1 + q / 2^bits.
fn ${src}_mantissa_affine(s: vec2f, o: vec2f) -> vec4f {
    return vec4f(${2 ** bits}.0 * s, o - ${2 ** bits}.0 * s);
}

// Converts scales and offsets of m to those of the signed bytes of `_packed`, which are q - `bias`.
fn ${src}_packed_affine(affine: vec4f) -> vec4f {
    let s = affine.xy / ${2 ** bits}.0;
    //# if bias is defined
    return vec4f(s, affine.zw + affine.xy + ${bias}.0 * s);
    //# else
    return vec4f(s, affine.zw + affine.xy);
    //# endif
}

fn ${src}_unpack_with(header: ${src}_Header, row: u32, cols: u32, chunk: u32) -> array<vec4f, ${quads}> {
    let m = ${src}_mantissas(row, cols, chunk);
    let s = ${src}_affine(header, chunk);
    return array<vec4f, ${quads}>(
        //# for i in range(quads)
        //# set run = i // (quads // runs)
        fma(vec4f(s.${["x", "y"][run]}), m[${i}], vec4f(s.${["z", "w"][run]})),
        //# endfor
    );
}

fn ${src}_unpack(row: u32, cols: u32, chunk: u32) -> array<vec4f, ${quads}> {
    return ${src}_unpack_with(${src}_header(row, cols, chunk / ${chunks_per_header}u), row, cols, chunk);
}
