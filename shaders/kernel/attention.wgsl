// Fused attention with online softmax (Milakov & Gimelshein 2018; FlashAttention, Dao et al. 2022). A workgroup serves
// TOKENS queries of HEADS heads, all or some of the GROUP that share a KV head. So it reads each key and value once for ROWS
// query rows.
//
//   for each tile of WORKGROUP_SIZE positions: s = q · k;  m' = max(m, max s);  w = exp(s - m')
//       acc = acc · exp(m - m') + Σ w · v;  total = total · exp(m - m') + Σ w;  m = m'
//   out = acc / total, or with KV splits (acc, m, total) for attn_reduce
//
// Scores: one position per invocation. Values: one vec4 of the head per invocation, V_ROWS_IN_PARALLEL positions at a
// time.
//# include reduce
//# include "shared/visible_rows.wgsl"
//# if UNROLLED
//# include "shared/dot_add.wgsl"
//# endif
//# with src = "keys", interleaved = false, texture = false
//# include "shared/rows.wgsl"
//# include keys_file
//# endwith
//# with src = "values", interleaved = false, texture = false
//# include "shared/rows.wgsl"
//# include values_file
//# endwith
const KEY_QUADS: u32 = KEY / 4u;
const QUADS: u32 = VALUE / 4u;
const V_ROWS_IN_PARALLEL: u32 = WORKGROUP_SIZE / QUADS;
var<workgroup> query: array<vec4f, ROWS * KEY_QUADS>;
var<workgroup> maxima: array<f32, ROWS * WORKGROUP_SIZE>;
var<workgroup> weight: array<f32, ROWS * WORKGROUP_SIZE>;
var<workgroup> partial_out: array<vec4f, WORKGROUP_SIZE>;
var<workgroup> totals: array<f32, WORKGROUP_SIZE>;

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    //# include "shared/attention_workgroup.wgsl"
    // Row r is query first_token + r / HEADS, head first_head + r % HEADS.
    for (var i = ids.local; i < ROWS * KEY_QUADS; i += WORKGROUP_SIZE) {
        let r = i / KEY_QUADS;
        let token = min(first_token + r / HEADS, params.n_tokens - 1u);
        let head = first_head + r % HEADS;
        query[i] = params.scale * q[token * (params.ld / 4u) + head * KEY_QUADS + i % KEY_QUADS];
    }
    workgroupBarrier();
    // Online softmax state of each row: maximum, sum of weights and weighted sum of values.
    //# for r in range(ROWS)
    var running_max${r} = MASKED;
    var total${r} = 0.0;
    var acc${r} = vec4f();
    //# endfor
    let base = kv_head * params.capacity;
    let quad = ids.local % QUADS;
    let value_row = ids.local / QUADS;
    for (; start < end; start += WORKGROUP_SIZE) {
        let at = start + ids.local;
        // Invocations beyond `end` load the last row and are masked below.
        let row = keys_row(base + min(at, end - 1u), params.key_stride);
        //# for r in range(ROWS)
        var s${r} = 0.0;
        //# endfor
        // One key row per invocation, so that a score needs no reduction. UNPACK_LEN is that of keys. Cache formats have one
        // run per chunk, so values unpack in the order of columns.
        for (var p = 0u; p < KEY / UNPACK_LEN; p++) {
            let k = keys_unpack(row, KEY, p);
            let first = p * (UNPACK_LEN / 4u);
            //# for r in range(ROWS)
            //# for i in range(UNPACK_LEN // 4)
            //# if UNROLLED
            s${r} = dot_add(k[${i}], query[${r}u * KEY_QUADS + first + ${i}u], s${r});
            //# else
            s${r} += dot(k[${i}], query[${r}u * KEY_QUADS + first + ${i}u]);
            //# endif
            //# endfor
            //# endfor
        }
        //# for t in range(TOKENS)
        let seen${t} = sees(token${t}, at) & (at < end);
        //# endfor
        //# for r in range(ROWS)
        s${r} = select(MASKED, s${r}, seen${r // HEADS});
        let partial_max${r} = partial_max(s${r});
        //# endfor
        // Maximum over the tile: first within subgroups, where there are some, then over their partial maxima.
        if writes_partial(ids) {
            //# for r in range(ROWS)
            maxima[${r}u * WORKGROUP_SIZE + partial_index(ids)] = partial_max${r};
            //# endfor
        }
        workgroupBarrier();
        //# for r in range(ROWS)
        var new_max${r} = running_max${r};
        //# endfor
        for (var i = 0u; i < partial_count(ids); i++) {
            //# for r in range(ROWS)
            new_max${r} = max(new_max${r}, maxima[${r}u * WORKGROUP_SIZE + i]);
            //# endfor
        }
        // `select`, because exp(0) would be 1 where all positions so far are masked and the maximum is MASKED.
        //# for r in range(ROWS)
        weight[${r}u * WORKGROUP_SIZE + ids.local] = select(0.0, exp(s${r} - new_max${r}), seen${r // HEADS});
        let rescale${r} = exp(running_max${r} - new_max${r});
        acc${r} *= rescale${r};
        total${r} *= rescale${r};
        running_max${r} = new_max${r};
        //# endfor
        // Two barriers per tile suffice. The next tile writes `maxima` after this one, `weight` after its own first one.
        workgroupBarrier();
        // Lanes left over when WORKGROUP_SIZE is no multiple of QUADS have no values to add.
        if value_row < V_ROWS_IN_PARALLEL {
            let n = min(WORKGROUP_SIZE, end - start);
            //# if UNROLLED
            // Four loads in flight. The rest follows one by one, in the same order.
            var i = value_row;
            for (; i + 3u * V_ROWS_IN_PARALLEL < n; i += 4u * V_ROWS_IN_PARALLEL) {
                //# for k in range(4)
                let v${k} = values_vec4(values_row(base + start + i + ${k}u * V_ROWS_IN_PARALLEL, params.value_stride), VALUE_COLS, quad);
                //# endfor
                //# for k in range(4)
                //# for r in range(ROWS)
                let w${k}_${r} = weight[${r}u * WORKGROUP_SIZE + i + ${k}u * V_ROWS_IN_PARALLEL];
                acc${r} = fma(vec4f(w${k}_${r}), v${k}, acc${r});
                total${r} += w${k}_${r};
                //# endfor
                //# endfor
            }
            for (; i < n; i += V_ROWS_IN_PARALLEL) {
            //# else
            for (var i = value_row; i < n; i += V_ROWS_IN_PARALLEL) {
            //# endif
                let v = values_vec4(values_row(base + start + i, params.value_stride), VALUE_COLS, quad);
                //# for r in range(ROWS)
                //# if UNROLLED
                acc${r} = fma(vec4f(weight[${r}u * WORKGROUP_SIZE + i]), v, acc${r});
                //# else
                acc${r} += weight[${r}u * WORKGROUP_SIZE + i] * v;
                //# endif
                total${r} += weight[${r}u * WORKGROUP_SIZE + i];
                //# endfor
            }
        }
    }
    // Sum over the V_ROWS_IN_PARALLEL invocations that share a vec4 of the head.
    //# for r in range(ROWS)
    workgroupBarrier();
    partial_out[ids.local] = acc${r};
    totals[ids.local] = total${r};
    workgroupBarrier();
    if ids.local < QUADS && first_token + ${r // HEADS}u < params.n_tokens {
        var sum = vec4f();
        var total = 0.0;
        for (var i = 0u; i < V_ROWS_IN_PARALLEL; i++) {
            sum += partial_out[i * QUADS + ids.local];
            total += totals[i * QUADS + ids.local];
        }
        let row = (first_token + ${r // HEADS}u) * params.n_heads + first_head + ${r % HEADS}u;
        if params.kv_splits == 1u {
            out[row * QUADS + ids.local] = sum / total;
        } else {
            let at = (kv_split * params.n_tokens * params.n_heads + row) * (QUADS + 1u);
            out[at + ids.local] = sum;
            if ids.local == 0u {
                out[at + QUADS] = vec4f(running_max${r}, total, 0.0, 0.0);
            }
        }
    }
    //# endfor
}
