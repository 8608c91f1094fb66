// The workgroup index of the attention kernels, as first head, KV split and first token. Surplus workgroups return.
    let head_groups = params.n_heads / HEADS;
    let group = group_index(at_group, groups);
    let first_head = (group % head_groups) * HEADS;
    let kv_head = first_head / GROUP;
    let kv_split = (group / head_groups) % params.kv_splits;
    let first_token = (group / head_groups / params.kv_splits) * TOKENS;
    if first_token >= params.n_tokens {
        return;
    }
    // The rows that any token of the workgroup sees, from `start` to `end`. These bounds are the same for all invocations.
    //# for t in range(TOKENS)
    let token${t} = visible_rows(min(first_token + ${t}u, params.n_tokens - 1u));
    //# endfor
    var start = token0.first;
    var end = visible_end(token0);
    //# for t in range(1, TOKENS)
    start = min(start, token${t}.first);
    end = max(end, visible_end(token${t}));
    //# endfor
    // Of these, the part that belongs to the KV split.
    start += kv_split * params.split_len;
    end = min(end, start + params.split_len);
