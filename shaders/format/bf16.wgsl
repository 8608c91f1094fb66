// BF16 rows: the upper halves of f32 values, two per word. `row` is the row's first vec4; a part is 8 values.
fn ${src}_pair(w: u32) -> vec2f {
    return vec2f(bitcast<f32>(w << 16u), bitcast<f32>(w & 0xffff0000u));
}

fn ${src}_unpack(row: u32, cols: u32, part: u32) -> array<vec4f, 2> {
    let w = ${src}_at(row, part);
    return array<vec4f, 2>(
        vec4f(${src}_pair(w.x), ${src}_pair(w.y)),
        vec4f(${src}_pair(w.z), ${src}_pair(w.w)),
    );
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let w = ${src}_at(row, i >> 1u);
    let half = select(w.xy, w.zw, (i & 1u) == 1u);
    return vec4f(${src}_pair(half.x), ${src}_pair(half.y));
}
//# if store is defined

// The upper half of `v`, rounded to nearest even.
fn ${src}_round(v: f32) -> u32 {
    let bits = bitcast<u32>(v);
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

fn ${src}_join(v: vec2f) -> u32 {
    return ${src}_round(v.x) | (${src}_round(v.y) << 16u);
}

// Vec4 `word` of the row that holds the values from vec4 `first` on.
fn ${src}_store(first: u32, cols: u32, word: u32) -> vec4u {
    let a = ${store}(first + 2u * word);
    let b = ${store}(first + 2u * word + 1u);
    return vec4u(${src}_join(a.xy), ${src}_join(a.zw), ${src}_join(b.xy), ${src}_join(b.zw));
}
//# endif
