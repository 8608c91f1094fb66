// A plane holds one field of all blocks of a row (struct of arrays).
//
// Half `i` (f16) of a row that is split into planes. `row` is the row's first vec4.
fn ${src}_plane_half(row: u32, i: u32) -> f32 {
    let pair = unpack2x16float(${src}_word(row, i >> 1u));
    return select(pair.x, pair.y, (i & 1u) == 1u);
}
