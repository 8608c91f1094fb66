// Parts of `runs` runs of weights s·q + o, where q are raw quants of `bits` bits. The format brings `_header`, what
// `chunks_per_header` chunks share; `_affine(header, chunk)`, the scales of the runs (x and y) and their offsets (z and w) for what
// `_raw(row, cols, chunk)` gives. That is 1 + q / 2^bits: bits on top of a mantissa need no conversion to a float. It also
// brings `_packed(row, cols, chunk)`, the quants as bytes, for integer products.
//# for first in fields
fn ${src}_raised${first}(w: u32) -> vec4f {
    let bits = vec4u(
        //# for byte in range(4)
        //# set left = 23 - bits - first - 8 * byte
        w ${"<<" if left >= 0 else ">>"} ${left | abs}u,
        //# endfor
    );
    return bitcast<vec4f>((bits & vec4u(${(2 ** bits - 1) * 2 ** (23 - bits)}u)) | vec4u(0x3f800000u));
}

//# endfor
// Scales and offsets of q, as those of 1 + q / 2^bits.
fn ${src}_lowered(s: vec2f, o: vec2f) -> vec4f {
    return vec4f(${2 ** bits}.0 * s, o - ${2 ** bits}.0 * s);
}

// Scales and offsets for what `_packed(row, cols, chunk)` gives: the raw quants less a `bias`, as signed bytes.
fn ${src}_plain(lowered: vec4f) -> vec4f {
    let s = lowered.xy / ${2 ** bits}.0;
    //# if bias is defined
    return vec4f(s, lowered.zw + lowered.xy + ${bias}.0 * s);
    //# else
    return vec4f(s, lowered.zw + lowered.xy);
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
