// Fields of rows that are split into planes. `row` is the row's first vec4; `i` counts from there, in words or in
// halves of words.
fn ${src}_plane_word(row: u32, i: u32) -> u32 {
    return ${src}[${src}_at(row, i >> 2u)][i & 3u];
}

fn ${src}_plane_half(row: u32, i: u32) -> f32 {
    let pair = unpack2x16float(${src}_plane_word(row, i >> 1u));
    return select(pair.x, pair.y, (i & 1u) == 1u);
}
