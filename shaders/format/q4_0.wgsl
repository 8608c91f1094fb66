// Q4_0 rows in two planes: nibbles, one vec4 per block of 32, then one f16 scale per block. `row` is the row's first vec4.
// A chunk is one block.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> vec2f {
    return vec2f(${src}_plane_half(row, (cols >> 2u) + block));
}

fn ${src}_quad(quants: u32, scale: vec2f) -> vec4f {
    return scale.x * (vec4f(unpack4xI8(quants)) - 8.0);
}
//# include "shared/plane.wgsl"
//# include "shared/nibbles.wgsl"
//# if input is defined

// The scale of block `block`, from f32 input that begins at vec4 `first`. The value with the largest magnitude becomes -8.
// Zero beyond the row.
fn ${src}_block_scale(first: u32, cols: u32, block: u32) -> f32 {
    var amax = 0.0;
    for (var i = 8u * block; i < min(8u * block + 8u, cols >> 2u); i++) {
        let v = ${input}(first + i);
        //# for c in "xyzw"
        amax = select(amax, v.${c}, abs(v.${c}) > abs(amax));
        //# endfor
    }
    return amax / -8.0;
}

// As ggml: add 8.5 and truncate. The clamp is for the negative of the largest value, which gives 16.
fn ${src}_round(v: vec4f, inverse: f32) -> vec4u {
    return min(vec4u(v * inverse + 8.5), vec4u(15u));
}

// Encodes vec4 `i` of a cache row. The row's f32 input begins at vec4 `first`.
fn ${src}_encode(first: u32, cols: u32, i: u32) -> vec4u {
    let blocks = cols >> 5u;
    if i < blocks {
        let d = ${src}_block_scale(first, cols, i);
        let inverse = select(1.0 / d, 0.0, d == 0.0);
        let at = first + 8u * i;
        return vec4u(
            //# for i in range(4)
            pack4xU8(
                ${src}_round(${input}(at + ${i}u), inverse)
                    | (${src}_round(${input}(at + ${i + 4}u), inverse) << vec4u(4u)),
            ),
            //# endfor
        );
    }
    let block = 8u * (i - blocks);
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
