// Rows of MLX's affine quantization in two planes. First all quants, `bits` bits each, packed into
// u32 words from the lowest bit up. Then scale and bias of every group of `group` weights, as f32. `row` is the row's
// first vec4. A chunk is 32 values, which are `bits` words.
//# include "shared/plane.wgsl"

// Scale (x) and bias (y) of group `at`.
fn ${src}_scale_bias(row: u32, cols: u32, at: u32) -> vec2f {
    let word = (cols >> 5u) * ${bits}u + 2u * at;
    return bitcast<vec2f>(vec2u(${src}_word(row, word), ${src}_word(row, word + 1u)));
}

fn ${src}_unpack(row: u32, cols: u32, chunk: u32) -> array<vec4f, 8> {
    let a = ${src}_scale_bias(row, cols, chunk / ${group // 32}u);
    // With bits % 4 = 0 a chunk is whole vec4s. Otherwise it may begin within one, so words are loaded one by one.
    //# if bits % 4 == 0
    //# for v in range(bits // 4)
    let v${v} = ${src}_at(row, chunk * ${bits // 4}u + ${v}u);
    //# for c in "xyzw"
    let q${4 * v + loop.index0} = v${v}.${c};
    //# endfor
    //# endfor
    //# else
    //# for k in range(bits)
    let q${k} = ${src}_word(row, chunk * ${bits}u + ${k}u);
    //# endfor
    //# endif
    return array<vec4f, 8>(
        //# for v in range(8)
        a.x * vec4f(vec4u(
            //# for c in range(4)
            //# with bit = (4 * v + c) * bits
            //# if bit % 32 + bits <= 32
            (q${bit // 32} >> ${bit % 32}u) & ${2 ** bits - 1}u,
            //# else
            ((q${bit // 32} >> ${bit % 32}u) | (q${bit // 32 + 1} << ${32 - bit % 32}u)) & ${2 ** bits - 1}u,
            //# endif
            //# endwith
            //# endfor
        )) + a.y,
        //# endfor
    );
}

// Values 4i to 4i + 3, which are in one word or in two neighbouring ones.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let bit = i * ${4 * bits}u;
    let low = ${src}_word(row, bit >> 5u) >> (bit & 31u);
    // Shift in two steps, because WGSL takes shift counts modulo 32.
    let high = (${src}_word(row, (bit >> 5u) + 1u) << 1u) << (31u - (bit & 31u));
    let quants = (vec4u(low | high) >> vec4u(0u, ${bits}u, ${2 * bits}u, ${3 * bits}u)) & vec4u(${2 ** bits - 1}u);
    let a = ${src}_scale_bias(row, cols, i / ${group // 4}u);
    return a.x * vec4f(quants) + a.y;
}
