// Fields of rows that are split into planes: half of a word, `i` of them into the row whose first vec4 is `row`.
fn ${src}_plane_half(row: u32, i: u32) -> f32 {
    let pair = unpack2x16float(${src}_word(row, i >> 1u));
    return select(pair.x, pair.y, (i & 1u) == 1u);
}
