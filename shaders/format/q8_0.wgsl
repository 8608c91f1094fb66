// Q8_0 rows in two planes: signed bytes, four per word in the order of the weights, then one f16 scale per block of 32.
// `row` is the row's first vec4. A chunk is 16 values, half a block. The header is the scales of sixteen chunks.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> f32 {
    let pair = unpack2x16float(${src}_word(row, (cols >> 2u) + (block >> 1u)));
    return select(pair.x, pair.y, (block & 1u) == 1u);
}

alias ${src}_Header = vec4u;

fn ${src}_header(row: u32, cols: u32, group: u32) -> vec4u {
    return ${src}_at(row, (cols >> 4u) + group);
}

fn ${src}_affine(header: vec4u, chunk: u32) -> vec4f {
    // Selects, because a dynamically indexed component would be in memory.
    let half = select(header.xy, header.zw, (chunk & 8u) == 8u);
    let pair = select(half.x, half.y, (chunk & 4u) == 4u);
    let d = unpack2x16float(pair >> (8u * (chunk & 2u))).x;
    return ${src}_mantissa_affine(vec2f(d), vec2f(-128.0 * d));
}

// Offset by 128, which makes the bytes unsigned.
fn ${src}_raw(row: u32, cols: u32, chunk: u32) -> array<vec4f, 4> {
    let q = ${src}_at(row, chunk) ^ vec4u(0x80808080u);
    return array<vec4f, 4>(
        ${src}_as_mantissa0(q.x), ${src}_as_mantissa0(q.y), ${src}_as_mantissa0(q.z), ${src}_as_mantissa0(q.w),
    );
}

fn ${src}_packed(row: u32, cols: u32, chunk: u32) -> array<u32, 4> {
    let q = ${src}_at(row, chunk);
    return array<u32, 4>(q.x, q.y, q.z, q.w);
}
//# with bits = 8, bias = 128, fields = [0], quads = 4, runs = 1, chunks_per_header = 16
//# include "shared/affine.wgsl"
//# endwith

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let q = ${src}_at(row, i >> 2u);
    return ${src}_scale(row, cols, i >> 3u) * vec4f(unpack4xI8(q[i & 3u]));
}
//# if store is defined

// Scale of a block; the row begins at vec4 `first` of the values. The value with the
// largest magnitude becomes 127 or -127. Zero beyond the row.
fn ${src}_fit(first: u32, cols: u32, block: u32) -> f32 {
    var far = vec4f();
    for (var i = 8u * block; i < min(8u * block + 8u, cols >> 2u); i++) {
        far = max(far, abs(${store}(first + i)));
    }
    return max(max(far.x, far.y), max(far.z, far.w)) / 127.0;
}

// Round half away from zero, as `roundf` of C and ggml do. WGSL's `round` rounds half to even.
fn ${src}_round(v: vec4f) -> vec4i {
    return vec4i(sign(v) * floor(abs(v) + 0.5));
}

// Vec4 `word` of the stored row.
fn ${src}_store(first: u32, cols: u32, word: u32) -> vec4u {
    let quants = cols >> 4u;
    if word < quants {
        let d = ${src}_fit(first, cols, word >> 1u);
        let inverse = select(1.0 / d, 0.0, d == 0.0);
        let at = first + 4u * word;
        return vec4u(
            //# for i in range(4)
            pack4xI8(${src}_round(${store}(at + ${i}u) * inverse)),
            //# endfor
        );
    }
    let block = 8u * (word - quants);
    return vec4u(
        //# for i in range(4)
        pack2x16float(
            vec2f(${src}_fit(first, cols, block + ${2 * i}u), ${src}_fit(first, cols, block + ${2 * i + 1}u)),
        ),
        //# endfor
    );
}
//# endif
