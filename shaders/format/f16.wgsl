// F16 rows, two values per word, eight per vec4. `row` is the row's first vec4. A chunk is 8 values.
fn ${src}_unpack(row: u32, cols: u32, chunk: u32) -> array<vec4f, 2> {
    let w = ${src}_at(row, chunk);
    return array<vec4f, 2>(
        vec4f(unpack2x16float(w.x), unpack2x16float(w.y)),
        vec4f(unpack2x16float(w.z), unpack2x16float(w.w)),
    );
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let w = ${src}_at(row, i >> 1u);
    let half = select(w.xy, w.zw, (i & 1u) == 1u);
    return vec4f(unpack2x16float(half.x), unpack2x16float(half.y));
}
//# if input is defined

// Encodes vec4 `i` of a cache row. The row's f32 input begins at vec4 `first`.
fn ${src}_encode(first: u32, cols: u32, i: u32) -> vec4u {
    let a = ${input}(first + 2u * i);
    let b = ${input}(first + 2u * i + 1u);
    return vec4u(${src}_pack_f16(a.xy), ${src}_pack_f16(a.zw), ${src}_pack_f16(b.xy), ${src}_pack_f16(b.zw));
}
//# endif
