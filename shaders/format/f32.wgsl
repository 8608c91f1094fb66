// F32 rows, four values per vec4. `row` is the row's first vec4. A chunk is 8 values.
fn ${src}_unpack(row: u32, cols: u32, chunk: u32) -> array<vec4f, 2> {
    let a = ${src}_at(row, 2u * chunk);
    let b = ${src}_at(row, 2u * chunk + 1u);
    return array<vec4f, 2>(bitcast<vec4f>(a), bitcast<vec4f>(b));
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    return bitcast<vec4f>(${src}_at(row, i));
}
//# if input is defined

// Encodes vec4 `i` of a cache row. The row's f32 input begins at vec4 `first`.
fn ${src}_encode(first: u32, cols: u32, i: u32) -> vec4u {
    return bitcast<vec4u>(${input}(first + i));
}
//# endif
