// Sorts the pairs of tokens and experts by expert, for matmuls that share a matrix among the pairs of its expert. The order
// of the pairs of one expert stays. An invocation does this for one expert, so that no data crosses invocations:
//
//   starts[e] = number of pairs of experts below e
//   append the pairs of e to `order` from there on
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let expert = global_index(ids, at_group, groups);
    // One start more than experts: the end of the last.
    if expert > params.n_experts {
        return;
    }
    var below = 0u;
    for (var pair = 0u; pair < params.n_pairs; pair++) {
        below += select(0u, 1u, experts[pair] < expert);
    }
    starts[expert] = below;
    for (var pair = 0u; pair < params.n_pairs; pair++) {
        if experts[pair] == expert {
            order[below] = pair;
            below++;
        }
    }
}
