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
//# if store is defined

// Scale of a block; the row begins at vec4 `first` of the values. The value with the largest
// magnitude becomes -8. Zero beyond the row.
fn ${src}_fit(first: u32, cols: u32, block: u32) -> f32 {
    var far = 0.0;
    for (var i = 8u * block; i < min(8u * block + 8u, cols >> 2u); i++) {
        let v = ${store}(first + i);
        //# for c in "xyzw"
        far = select(far, v.${c}, abs(v.${c}) > abs(far));
        //# endfor
    }
    return far / -8.0;
}

fn ${src}_round(v: vec4f, inverse: f32) -> vec4u {
    return min(vec4u(v * inverse + 8.5), vec4u(15u));
}

// Vec4 `word` of the stored row.
fn ${src}_store(first: u32, cols: u32, word: u32) -> vec4u {
    let blocks = cols >> 5u;
    if word < blocks {
        let d = ${src}_fit(first, cols, word);
        let inverse = select(1.0 / d, 0.0, d == 0.0);
        let at = first + 8u * word;
        return vec4u(
            //# for i in range(4)
            pack4xU8(
                ${src}_round(${store}(at + ${i}u), inverse)
                    | (${src}_round(${store}(at + ${i + 4}u), inverse) << vec4u(4u)),
            ),
            //# endfor
        );
    }
    let block = 8u * (word - blocks);
    return vec4u(
        //# for i in range(4)
        pack2x16float(
            vec2f(${src}_fit(first, cols, block + ${2 * i}u), ${src}_fit(first, cols, block + ${2 * i + 1}u)),
        ),
        //# endfor
    );
}
//# endif
