// Q8_0 rows in two planes: signed bytes, four per word in the order of the weights, then one f16 scale per block
// of 32. `row` is the row's first vec4; a part is 16 values, half a block.
fn ${src}_scale(row: u32, cols: u32, block: u32) -> f32 {
    let words = ${src}[row + (cols >> 4u) + (block >> 3u)];
    let pair = unpack2x16float(words[(block >> 1u) & 3u]);
    return select(pair.x, pair.y, (block & 1u) == 1u);
}

fn ${src}_unpack(row: u32, cols: u32, part: u32) -> array<vec4f, 4> {
    let q = ${src}[row + part];
    let d = ${src}_scale(row, cols, part >> 1u);
    return array<vec4f, 4>(
        d * vec4f(unpack4xI8(q.x)),
        d * vec4f(unpack4xI8(q.y)),
        d * vec4f(unpack4xI8(q.z)),
        d * vec4f(unpack4xI8(q.w)),
    );
}

// Values 4i to 4i + 3.
fn ${src}_vec4(row: u32, cols: u32, i: u32) -> vec4f {
    let q = ${src}[row + (i >> 2u)];
    return ${src}_scale(row, cols, i >> 3u) * vec4f(unpack4xI8(q[i & 3u]));
}
