// One token drawn from a row of logits by the largest `top_k` of them, as the host's sampler draws: of those the fewest
// that reach `top_p`, of those the ones above `min_p`, and of those the one at `at` along the cumulative distribution at
// `temperature`, in the order of ids. One workgroup; the same result whatever its size.
//# include "shared/no_index.wgsl"
var<workgroup> best: array<f32, LANES>;
var<workgroup> best_index: array<u32, LANES>;
// The largest so far, from the top down, and what they weigh up to their id.
var<workgroup> top: array<f32, MAX_K>;
var<workgroup> top_ids: array<u32, MAX_K>;
var<workgroup> sums: array<f32, MAX_K>;
var<workgroup> kept: u32;
var<workgroup> broken: array<u32, LANES>;

fn before(a: f32, a_id: u32, b: f32, b_id: u32) -> bool {
    return a > b || (a == b && a_id < b_id);
}

// A lane's largest two.
struct Two { v: f32, id: u32, next: f32, next_id: u32 }

// Whether one of the lane's logits is none: NaN, or infinite upwards.
var<private> bad: bool;

// The largest two of a lane's logits, of those that come after one that was taken; of all of them where none was.
fn largest(local: u32, taken: f32, taken_id: u32) -> Two {
    var two = Two(LOWEST, NO_INDEX, LOWEST, NO_INDEX);
    for (var first = local; first < params.n_cols; first += 4u * LANES) {
        // Four under way at a time: one workgroup has too few lanes to wait for each.
        //# for k in range(4)
        let v${k} = x[min(first + ${k}u * LANES, params.n_cols - 1u)];
        //# endfor
        //# for k in range(4)
        two = entered(two, v${k}, first + ${k}u * LANES, taken, taken_id);
        //# endfor
    }
    return two;
}

// The two with a logit among them, if it belongs there.
fn entered(two: Two, v: f32, i: u32, taken: f32, taken_id: u32) -> Two {
    // By its bits, because compilers may assume that such numbers do not come up.
    let bits = bitcast<u32>(v);
    let finite = (bits & 0x7f800000u) != 0x7f800000u;
    bad = bad || !(finite || bits == 0xff800000u);
    if i >= params.n_cols || !finite || !(taken_id == NO_INDEX || before(taken, taken_id, v, i)) {
        return two;
    }
    if two.id == NO_INDEX || v > two.v {
        return Two(v, i, two.v, two.id);
    }
    if two.next_id == NO_INDEX || v > two.next {
        return Two(two.v, two.id, v, i);
    }
    return two;
}

// How many of the `n` largest are kept.
fn keep(n: u32) -> u32 {
    var all = 0.0;
    for (var i = 0u; i < n; i++) {
        all += exp(top[i] - top[0]);
    }
    var sum = 0.0;
    var reached = n;
    for (var i = 0u; i < n && reached == n; i++) {
        sum += exp(top[i] - top[0]);
        if params.top_p < 1.0 && sum >= params.top_p * all {
            // The one that reaches the threshold is kept too.
            reached = i + 1u;
        }
    }
    while reached > 1u && top[reached - 1u] < top[0] + params.min_p_ln {
        reached -= 1u;
    }
    return reached;
}

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) local: u32) {
    var mine = largest(local, 0.0, NO_INDEX);
    broken[local] = select(0u, 1u, bad);
    for (var r = 0u; r < min(params.top_k, params.n_cols); r++) {
        best[local] = mine.v;
        best_index[local] = mine.id;
        workgroupBarrier();
        for (var stride = LANES / 2u; stride > 0u; stride >>= 1u) {
            if local < stride {
                let theirs = best[local + stride];
                let their_id = best_index[local + stride];
                if their_id != NO_INDEX && (best_index[local] == NO_INDEX || before(theirs, their_id, best[local], best_index[local])) {
                    best[local] = theirs;
                    best_index[local] = their_id;
                }
            }
            workgroupBarrier();
        }
        let taken = best_index[0];
        if local == 0u {
            top[r] = best[0];
            top_ids[r] = taken;
        }
        workgroupBarrier();
        if taken != NO_INDEX && taken == mine.id {
            // One lane at work while all wait: that it has the next at hand makes it rare.
            if mine.next_id != NO_INDEX {
                mine = Two(mine.next, mine.next_id, LOWEST, NO_INDEX);
            } else {
                mine = largest(local, mine.v, taken);
            }
        }
    }
    if local == 0u {
        var n = 0u;
        while n < min(params.top_k, params.n_cols) && top_ids[n] != NO_INDEX {
            n += 1u;
        }
        kept = keep(n);
    }
    workgroupBarrier();
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
            if sums[i] > params.at * all {
                pick = min(pick, top_ids[i]);
            }
        }
        if pick == NO_INDEX && kept > 0u {
            // The number drawn fell into the rounding.
            pick = last;
        }
        for (var i = 0u; i < LANES; i++) {
            pick = select(pick, NO_INDEX, broken[i] != 0u);
        }
        picks[params.pick0] = pick;
    }
}
