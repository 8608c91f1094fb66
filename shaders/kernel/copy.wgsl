// Bandwidth probe: to = from, ITEMS vec4 words per invocation, neighbouring invocations on neighbouring words.
//# include reduce

@compute @workgroup_size(LANES)
fn main(ids: Ids) {
    let shares = (params.n / 4u + LANES * ITEMS - 1u) / (LANES * ITEMS);
    if group_index(ids) >= shares * params.rounds {
        return;
    }
    // Every round writes the same words.
    let first = (group_index(ids) % shares) * (LANES * ITEMS) + ids.local;
    //# for i in range(ITEMS)
    if first + ${i}u * LANES < params.n / 4u {
        to[first + ${i}u * LANES] = from_words[first + ${i}u * LANES];
    }
    //# endfor
}
