// Samples one token from a row of logits: top-k, top-p, min-p and temperature, with the same result as the host sampler.
// Top-k in rounds: every round takes the largest logit that is left. One workgroup; the result does not depend on its size.
//
//   each lane: the KEPT best of its columns.
//   for r in 0..top_k: top[r] = argmax over the lanes. Its lane moves to its next best, or rescans its columns.
//   kept = number of top logits after top-p and min-p. sums = cumulative exp(top / temperature) by id.
//   pick the first sum > random · all.
//# include "shared/no_index.wgsl"
var<workgroup> best: array<f32, WORKGROUP_SIZE>;
var<workgroup> best_index: array<u32, WORKGROUP_SIZE>;
// The largest logits so far in descending order, and their ids. `sums[i]` is the total weight of ids up to `top_ids[i]`.
var<workgroup> top: array<f32, MAX_K>;
var<workgroup> top_ids: array<u32, MAX_K>;
var<workgroup> sums: array<f32, MAX_K>;
var<workgroup> kept: u32;
var<workgroup> invalid: array<u32, WORKGROUP_SIZE>;

// Whether logit a precedes b: the larger first, then the lower id.
fn before(a: f32, a_id: u32, b: f32, b_id: u32) -> bool {
    return a > b || (a == b && a_id < b_id);
}

// A lane's KEPT largest logits, in descending order.
struct Largest {
    //# for k in range(KEPT)
    v${k}: f32,
    id${k}: u32,
    //# endfor
}

// Whether one of the lane's logits is NaN or +∞.
var<private> has_invalid: bool;

// The largest of a lane's logits that come after the selected one, or of all where `selected_id` is NO_INDEX.
fn scan_largest(local: u32, selected: f32, selected_id: u32) -> Largest {
    var largest = Largest(
        //# for k in range(KEPT)
        LOWEST, NO_INDEX,
        //# endfor
    );
    for (var first = local; first < params.n_cols; first += 4u * WORKGROUP_SIZE) {
        // Four loads in flight per lane, because one workgroup has too few lanes to hide memory latency.
        //# for k in range(4)
        let v${k} = x[min(first + ${k}u * WORKGROUP_SIZE, params.n_cols - 1u)];
        //# endfor
        //# for k in range(4)
        largest = insert(largest, v${k}, first + ${k}u * WORKGROUP_SIZE, selected, selected_id);
        //# endfor
    }
    return largest;
}

// Inserts a logit, if it is larger than one of those that are kept.
fn insert(largest: Largest, v: f32, i: u32, selected: f32, selected_id: u32) -> Largest {
    // Test the bits, because compilers may assume that NaN and infinities do not occur.
    let bits = bitcast<u32>(v);
    let finite = (bits & 0x7f800000u) != 0x7f800000u;
    has_invalid = has_invalid || !(finite || bits == 0xff800000u);
    if i >= params.n_cols || !finite || !(selected_id == NO_INDEX || before(selected, selected_id, v, i)) {
        return largest;
    }
    // Ids ascend within a lane, so `>` keeps the lower id in a tie.
    //# for k in range(KEPT)
    if largest.id${k} == NO_INDEX || v > largest.v${k} {
        return Largest(
            //# for p in range(KEPT)
            //# if p == k
            v, i,
            //# else
            largest.v${p if p < k else p - 1}, largest.id${p if p < k else p - 1},
            //# endif
            //# endfor
        );
    }
    //# endfor
    return largest;
}

// How many of the `n` largest remain after top-p and min-p.
fn count_kept(n: u32) -> u32 {
    var all = 0.0;
    for (var i = 0u; i < n; i++) {
        all += exp(top[i] - top[0]);
    }
    var sum = 0.0;
    var reached = n;
    for (var i = 0u; i < n && reached == n; i++) {
        sum += exp(top[i] - top[0]);
        if params.top_p < 1.0 && sum >= params.top_p * all {
            // The candidate that reaches the threshold is kept.
            reached = i + 1u;
        }
    }
    while reached > 1u && top[reached - 1u] < top[0] + params.min_p_ln {
        reached -= 1u;
    }
    return reached;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) local: u32) {
    var candidates = scan_largest(local, 0.0, NO_INDEX);
    invalid[local] = select(0u, 1u, has_invalid);
    for (var r = 0u; r < min(params.top_k, params.n_cols); r++) {
        best[local] = candidates.v0;
        best_index[local] = candidates.id0;
        workgroupBarrier();
        // WORKGROUP_SIZE must be a power of two.
        for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride >>= 1u) {
            if local < stride {
                let other = best[local + stride];
                let other_id = best_index[local + stride];
                if other_id != NO_INDEX && (best_index[local] == NO_INDEX || before(other, other_id, best[local], best_index[local])) {
                    best[local] = other;
                    best_index[local] = other_id;
                }
            }
            workgroupBarrier();
        }
        let selected = best_index[0];
        if local == 0u {
            top[r] = best[0];
            top_ids[r] = selected;
        }
        workgroupBarrier();
        if selected != NO_INDEX && selected == candidates.id0 {
            // A rescan makes all other lanes wait. The other kept logits make it rare.
            if candidates.id1 != NO_INDEX {
                candidates = Largest(
                    //# for k in range(1, KEPT)
                    candidates.v${k}, candidates.id${k},
                    //# endfor
                    LOWEST, NO_INDEX,
                );
            } else {
                candidates = scan_largest(local, candidates.v0, selected);
            }
        }
    }
    if local == 0u {
        var n = 0u;
        while n < min(params.top_k, params.n_cols) && top_ids[n] != NO_INDEX {
            n += 1u;
        }
        kept = count_kept(n);
    }
    workgroupBarrier();
    // A prefix sum in the order of ids, without a sort. It needs WORKGROUP_SIZE >= MAX_K.
    if local < kept {
        var sum = 0.0;
        for (var i = 0u; i < kept; i++) {
            if top_ids[i] <= top_ids[local] {
                sum += exp((top[i] - top[0]) / params.temperature);
            }
        }
        sums[local] = sum;
    }
    workgroupBarrier();
    if local == 0u {
        var all = 0.0;
        for (var i = 0u; i < kept; i++) {
            all = max(all, sums[i]);
        }
        var pick = NO_INDEX;
        var last = 0u;
        for (var i = 0u; i < kept; i++) {
            last = max(last, top_ids[i]);
            if sums[i] > params.random * all {
                pick = min(pick, top_ids[i]);
            }
        }
        if pick == NO_INDEX && kept > 0u {
            // Rounding: `random` is beyond the last cumulative weight.
            pick = last;
        }
        for (var i = 0u; i < WORKGROUP_SIZE; i++) {
            pick = select(pick, NO_INDEX, invalid[i] != 0u);
        }
        picks[params.pick0] = pick;
    }
}
