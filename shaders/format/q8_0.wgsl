// Q8_0 rows in two planes: signed bytes, four per word in the order of the weights, then one f16 scale per block of 32.
// `row` is the row's first vec4. A chunk is 16 values, half a block. The header is the scales of sixteen chunks.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> f32 {
    let pair = unpack2x16float(${src}_word(row, (cols >> 2u) + (block >> 1u)));
    return select(pair.x, pair.y, (block & 1u) == 1u);
}

alias ${src}_Header = vec4u;

fn ${src}_header(row: u32, cols: u32, i: u32) -> vec4u {
    return ${src}_at(row, (cols >> 4u) + i);
}

fn ${src}_affine(header: vec4u, chunk: u32) -> vec4f {
    // Selects, because a dynamically indexed component would be in memory.
    let half = select(header.xy, header.zw, (chunk & 8u) == 8u);
    let pair = select(half.x, half.y, (chunk & 4u) == 4u);
    let d = unpack2x16float(pair >> (8u * (chunk & 2u))).x;
    return ${src}_mantissa_affine(vec2f(d), vec2f(-128.0 * d));
}

// Offset by 128, which makes the bytes unsigned.
fn ${src}_mantissas(row: u32, cols: u32, chunk: u32) -> array<vec4f, 4> {
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
//# if input is defined

// The scale of block `block`, from f32 input that begins at vec4 `first`. The value with the largest magnitude becomes 127
// or -127. Zero beyond the row.
fn ${src}_block_scale(first: u32, cols: u32, block: u32) -> f32 {
    var amax = vec4f();
    for (var i = 8u * block; i < min(8u * block + 8u, cols >> 2u); i++) {
        amax = max(amax, abs(${input}(first + i)));
    }
    return max(max(amax.x, amax.y), max(amax.z, amax.w)) / 127.0;
}

// Round half away from zero, as `roundf` of C and ggml do. WGSL's `round` rounds half to even.
fn ${src}_round(v: vec4f) -> vec4i {
    return vec4i(sign(v) * floor(abs(v) + 0.5));
}

// Encodes vec4 `i` of a cache row. The row's f32 input begins at vec4 `first`.
fn ${src}_encode(first: u32, cols: u32, i: u32) -> vec4u {
    let quants = cols >> 4u;
    if i < quants {
        let d = ${src}_block_scale(first, cols, i >> 1u);
        let inverse = select(1.0 / d, 0.0, d == 0.0);
        let at = first + 4u * i;
        return vec4u(
            //# for i in range(4)
            pack4xI8(${src}_round(${input}(at + ${i}u) * inverse)),
            //# endfor
        );
    }
    let block = 8u * (i - quants);
    return vec4u(
        //# for i in range(4)
        ${src}_pack_f16(
            vec2f(
                ${src}_block_scale(first, cols, block + ${2 * i}u),
                ${src}_block_scale(first, cols, block + ${2 * i + 1}u),
            ),
        ),
        //# endfor
    );
}
//# endif
