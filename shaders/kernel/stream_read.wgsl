// Bandwidth probe: reads every word and writes one value per workgroup, so that nothing can be left out.
//# include reduce

@compute @workgroup_size(LANES)
fn main(ids: Ids) {
    let group = group_index(ids);
    let quads = params.n / 4u;
    if group * LANES * ITEMS >= quads {
        return;
    }
    let first = group * (LANES * ITEMS) + ids.local;
    var sum = vec4f();
    //# for i in range(ITEMS)
    if first + ${i}u * LANES < quads {
        sum += from_words[first + ${i}u * LANES];
    }
    //# endfor
    let total = group_sum(ids, sum.x + sum.y + sum.z + sum.w);
    if ids.local == 0u {
        sums[group] = total;
    }
}
