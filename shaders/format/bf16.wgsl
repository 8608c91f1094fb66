// BF16 rows: the upper halves of f32 values, two per word. `row` is the row's first vec4. A chunk is 8 values.
fn ${src}_pair(w: u32) -> vec2f {
    return vec2f(bitcast<f32>(w << 16u), bitcast<f32>(w & 0xffff0000u));
}

fn ${src}_unpack(row: u32, cols: u32, chunk: u32) -> array<vec4f, 2> {
    let w = ${src}_at(row, chunk);
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
