// Addressing of rows of vec4s, in a buffer or in a `texture`. Rows are row-major or `interleaved`:
//
//   row-major:    vec4 i of row r is at r · stride + i.
//   interleaved:  vec4 i of row r is at (r / 8) · 8 · stride + 8 · i + r % 8.
//
// With interleaved rows, eight lanes that read the same vec4 of eight rows read neighbours. A format's `row` is the address
// of the first vec4 of a row.
fn ${src}_row(r: u32, stride: u32) -> u32 {
    //# if interleaved
    return (r >> 3u) * (8u * stride) + (r & 7u);
    //# else
    return r * stride;
    //# endif
}
//# if texture

//# include "shared/texels.wgsl"
//# endif
//# if input is defined

//# include "shared/pack_f16.wgsl"

// Stores `v` as vec4 `i` of the binding.
fn ${src}_store_vec4(i: u32, v: vec4u) {
    //# if texture
    textureStore(${src}, ${src}_texel(i), v);
    //# else
    ${src}[i] = v;
    //# endif
}
//# endif

// Vec4 `i` of the row.
fn ${src}_at(row: u32, i: u32) -> vec4u {
    //# if texture and input is defined
    // A write-only texture cannot be read. The function exists only for the format file.
    return vec4u();
    //# else
    //# if interleaved
    let at = row + 8u * i;
    //# else
    let at = row + i;
    //# endif
    //# if texture
    return textureLoad(${src}, ${src}_texel(at));
    //# else
    return ${src}[at];
    //# endif
    //# endif
}

// Word `i` of the row.
fn ${src}_word(row: u32, i: u32) -> u32 {
    //# if texture
    let words = ${src}_at(row, i >> 2u);
    // Selects, because a dynamically indexed component would be in memory.
    let half = select(words.xy, words.zw, (i & 2u) == 2u);
    return select(half.x, half.y, (i & 1u) == 1u);
    //# else
    return ${src}[row + (i >> 2u)][i & 3u];
    //# endif
}
