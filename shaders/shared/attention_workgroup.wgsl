// The workgroup index of the attention kernels, as KV head, KV split and first token. Surplus workgroups return.
    let kv_heads = params.n_heads / GROUP;
    let group = group_index(at_group, groups);
    let kv_head = group % kv_heads;
    let context = params.position + params.n_tokens;
    let kv_splits = (context + params.split_len - 1u) / params.split_len;
    let kv_split = (group / kv_heads) % kv_splits;
    let token0 = (group / kv_heads / kv_splits) * TOKENS;
    if token0 >= params.n_tokens {
        return;
    }
