// Stores new key or value rows in the cache, in the cache's number format. The cache holds the positions of one
// head together: row = head · capacity + position.
//# include reduce
//# with src = "cache", store = true
//# include cache_file
//# endwith

@compute @workgroup_size(LANES)
fn main(ids: Ids) {
    let units = params.head_dim / 8u;
    let i = global_index(ids);
    if i >= params.n_tokens * params.n_heads * units {
        return;
    }
    let unit = i % units;
    let head = (i / units) % params.n_heads;
    let token = i / (units * params.n_heads);
    let row = (head * params.capacity + params.position + token) * params.stride;
    cache_store(row, unit, x[2u * i], x[2u * i + 1u]);
}
