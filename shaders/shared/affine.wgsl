// Unpacking of affine quants: chunks of `runs` runs of weights s·q + o, where q are raw quants of `bits` bits. Bit trick:
//
//   the bits of q on top of the mantissa of 1.0 are the float m = 1 + q / 2^bits, without a conversion.
//   s·q + o = (2^bits · s)·m + (o - 2^bits · s).
//
// The format file brings four functions:
// - `_header(row, cols, i)`: the scales that `chunks_per_header` chunks share;
// - `_affine(header, chunk)`: scales (x, y) and offsets (z, w) of the runs, for m instead of q;
// - `_raw(row, cols, chunk)`: the values m;
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
// Scales and offsets of q, converted to those of m = 1 + q / 2^bits.
fn ${src}_mantissa_affine(s: vec2f, o: vec2f) -> vec4f {
    return vec4f(${2 ** bits}.0 * s, o - ${2 ** bits}.0 * s);
}

// Scales and offsets of m, converted to those of `_packed`: of q less a `bias`, as signed bytes.
fn ${src}_packed_affine(affine: vec4f) -> vec4f {
    let s = affine.xy / ${2 ** bits}.0;
    //# if bias is defined
    return vec4f(s, affine.zw + affine.xy + ${bias}.0 * s);
    //# else
    return vec4f(s, affine.zw + affine.xy);
    //# endif
}

fn ${src}_unpack_with(header: ${src}_Header, row: u32, cols: u32, chunk: u32) -> array<vec4f, ${quads}> {
    let q = ${src}_raw(row, cols, chunk);
    let s = ${src}_affine(header, chunk);
    return array<vec4f, ${quads}>(
        //# for i in range(quads)
        //# set run = i // (quads // runs)
        fma(vec4f(s.${["x", "y"][run]}), q[${i}], vec4f(s.${["z", "w"][run]})),
        //# endfor
    );
}

fn ${src}_unpack(row: u32, cols: u32, chunk: u32) -> array<vec4f, ${quads}> {
    return ${src}_unpack_with(${src}_header(row, cols, chunk / ${chunks_per_header}u), row, cols, chunk);
}
