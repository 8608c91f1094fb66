// Where rows of vec4 lie: one after the other or, `interleaved`, eight at a time in turn, so that eight lanes that read
// the same vec4 of their rows read neighbours; those lie in a texture. A format's `row` is the first vec4 of a row.
fn ${src}_row(r: u32, stride: u32) -> u32 {
    //# if interleaved
    return (r >> 3u) * (8u * stride) + (r & 7u);
    //# else
    return r * stride;
    //# endif
}

// Vec4 `i` of the row.
fn ${src}_at(row: u32, i: u32) -> vec4u {
    //# if interleaved
    let at = params.${src}_first + row + 8u * i;
    return textureLoad(${src}, vec2u(at % TEXELS, at / TEXELS));
    //# else
    return ${src}[row + i];
    //# endif
}

// Word `i` of the row.
fn ${src}_word(row: u32, i: u32) -> u32 {
    //# if interleaved
    let words = ${src}_at(row, i >> 2u);
    // Selects, because a component that is looked up would live in memory.
    let half = select(words.xy, words.zw, (i & 2u) == 2u);
    return select(half.x, half.y, (i & 1u) == 1u);
    //# else
    return ${src}[row + (i >> 2u)][i & 3u];
    //# endif
}
