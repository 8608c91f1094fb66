// Which key/value head, which part of the positions and which queries are this workgroup's.
    let kv_heads = params.n_heads / GROUP;
    let group = group_index(at_group, groups);
    let kv_head = group % kv_heads;
    let context = params.position + params.n_tokens;
    let splits = (context + params.span - 1u) / params.span;
    let part_of = (group / kv_heads) % splits;
    let token0 = (group / kv_heads / splits) * TOKENS;
    if token0 >= params.n_tokens {
        return;
    }
