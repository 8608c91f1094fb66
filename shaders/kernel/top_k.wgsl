// Router of a mixture of experts: the `top_k` largest logits of each row and their softmax weights. One workgroup per row.
//
//   each lane, for its experts:  rank = number of experts that come before it
//       if rank < top_k:  store the expert and its logit at `rank`
//   barrier
//   sum = Σ exp(logit - largest) over all experts, or over the chosen ones
//   weight = scale · exp(logit - largest) / sum
//
// Ranks need no rounds and no barriers. They take n_experts² comparisons, which lanes share, and reads that all lanes make
// at the same address.
//# include reduce
// The chosen logits in descending order.
var<workgroup> chosen: array<f32, MAX_K>;

// Maps f32 to u32 in the total order of IEEE 754. Integers, because compilers may assume that NaN does not occur.
fn ordered(v: f32) -> u32 {
    let bits = bitcast<u32>(v);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let row = group_index(at_group, groups);
    if row >= params.n_rows {
        return;
    }
    let first = row * params.n_experts;
    for (var e = ids.local; e < params.n_experts; e += WORKGROUP_SIZE) {
        let key = ordered(x[first + e]);
        var rank = 0u;
        for (var i = 0u; i < params.n_experts; i++) {
            let other = ordered(x[first + i]);
            rank += select(0u, 1u, other > key || (other == key && i < e));
        }
        if rank < params.top_k {
            experts[row * params.top_k + rank] = e;
            chosen[rank] = x[first + e];
        }
    }
    workgroupBarrier();
    let largest = chosen[0];
    var lane_sum = 0.0;
    if params.renormalise != 0u {
        for (var i = ids.local; i < params.top_k; i += WORKGROUP_SIZE) {
            lane_sum += exp(chosen[i] - largest);
        }
    } else {
        for (var e = ids.local; e < params.n_experts; e += WORKGROUP_SIZE) {
            lane_sum += exp(x[first + e] - largest);
        }
    }
    let sum = workgroup_sum(ids, lane_sum);
    for (var i = ids.local; i < params.top_k; i += WORKGROUP_SIZE) {
        weights[row * params.top_k + i] = params.scale * exp(chosen[i] - largest) / sum;
    }
}
