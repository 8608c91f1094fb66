// Where rows of vec4 lie: one after the other or, `interleaved`, eight at a time in turn, so that eight lanes that read
// the same vec4 of their rows read neighbours. A format's `row` is the first vec4 of a row.
fn ${src}_row(r: u32, stride: u32) -> u32 {
    //# if interleaved
    return (r >> 3u) * (8u * stride) + (r & 7u);
    //# else
    return r * stride;
    //# endif
}

// Vec4 `i` of the row.
fn ${src}_at(row: u32, i: u32) -> u32 {
    //# if interleaved
    return row + 8u * i;
    //# else
    return row + i;
    //# endif
}
