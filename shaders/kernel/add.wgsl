// Residual add in place: x += delta, four values per invocation.
//# include reduce

@compute @workgroup_size(LANES)
fn main(ids: Ids) {
    let i = global_index(ids);
    if i >= params.n / 4u {
        return;
    }
    x[i] += delta[i];
}
