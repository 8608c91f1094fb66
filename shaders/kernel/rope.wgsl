// Rotary position embedding, RoPE (Su et al. 2021), in place: (a, b) = (a·cos - b·sin, b·cos + a·sin). One invocation per
// pair. Cosines and sines are from a table that the host computes in f64, because shader sines are inaccurate at large
// angles.
//# include reduce
//# include "shared/token_info.wgsl"

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let pairs = params.rotary / 2u;
    let i = global_index(ids, at_group, groups);
    if i >= params.n_tokens * params.n_heads * pairs {
        return;
    }
    let pair = i % pairs;
    let head = i / pairs;
    let token = head / params.n_heads;
    let at = 2u * (token_position(token) * pairs + pair);
    let c = table[at];
    let s = table[at + 1u];
    let first = token * params.ld + params.first + (head % params.n_heads) * params.head_dim + pair * PAIR_STEP;
    let second = first + select(pairs, 1u, PAIR_STEP == 2u);
    let a = x[first];
    let b = x[second];
    x[first] = a * c - b * s;
    x[second] = b * c + a * s;
}
