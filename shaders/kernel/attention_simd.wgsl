// Fused attention with online softmax, as in attention.wgsl, by eight lanes of a subgroup without workgroup memory.
// `subgroupBroadcast` shares queries and softmax weights. Each lane loads its own key rows and its eighth of V. The
// template unrolls the inner loops, so that array elements are named variables, which can stay in registers.
//
//   for each tile of 8 · POSITIONS_PER_LANE positions: scores with broadcast queries, POSITIONS_PER_LANE per lane
//       online softmax with subgroupMax;  every lane: acc += broadcast weight · its eighth of the row of V
//   out = acc / total, or with KV splits (acc, m, total) for attn_reduce
//# include "shared/group_index.wgsl"
//# include "shared/visible_rows.wgsl"
//# include "shared/dot_add.wgsl"
//# with src = "keys", interleaved = false, texture = true
//# include "shared/rows.wgsl"
//# include keys_file
//# endwith
//# with src = "values", interleaved = false, texture = true
//# include "shared/rows.wgsl"
//# include values_file
//# endwith
//# set key_quads_per_lane = KEY // 32
//# set quads_per_lane = VALUE // 32
// Of 1, 2, 3, 4 and 8 positions per lane, 2 was the fastest on llvmpipe (docs/measurements.md).
//# set per_lane = 2
// If VALUE is a multiple of eight chunks of V, each lane unpacks whole chunks. Otherwise it loads single vec4s.
//# set whole_chunks = VALUE % (8 * VALUES_UNPACK_LEN) == 0
//# set quads_per_load = VALUES_UNPACK_LEN // 4 if whole_chunks else 1
const KEY_QUADS: u32 = KEY / 4u;
const QUADS: u32 = VALUE / 4u;
const POSITIONS_PER_LANE: u32 = ${per_lane}u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(workgroup_id) at_group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    //# include "shared/attention_workgroup.wgsl"
    // Row r is query first_token + r / HEADS, head first_head + r % HEADS. A lane holds every eighth vec4 of it.
    //# for r in range(ROWS)
    let row_token${r} = min(first_token + ${r // HEADS}u, params.n_tokens - 1u);
    let query${r} = row_token${r} * (params.ld / 4u) + (first_head + ${r % HEADS}u) * KEY_QUADS + lane;
    var running_max${r} = MASKED;
    var total${r} = 0.0;
    //# for i in range(key_quads_per_lane)
    let q${r}_${i} = params.scale * q[query${r} + ${8 * i}u];
    //# endfor
    //# for i in range(quads_per_lane)
    var acc${r}_${i} = vec4f();
    //# endfor
    //# endfor
    let base = kv_head * params.capacity;
    for (; start < end; start += 8u * POSITIONS_PER_LANE) {
        //# for b in range(per_lane)
        let at${b} = start + ${8 * b}u + lane;
        let key${b} = keys_row(base + min(at${b}, end - 1u), params.key_stride);
        //# for r in range(ROWS)
        var s${r}_${b} = 0.0;
        //# endfor
        //# endfor
        //# for p in range(KEY // UNPACK_LEN)
        {
            //# for b in range(per_lane)
            let k${b} = keys_unpack(key${b}, KEY, ${p}u);
            //# endfor
            //# for r in range(ROWS)
            //# for i in range(UNPACK_LEN // 4)
            {
                //# set quad = p * (UNPACK_LEN // 4) + i
                let v = subgroupBroadcast(q${r}_${quad // 8}, ${quad % 8}u);
                //# for b in range(per_lane)
                s${r}_${b} = dot_add(k${b}[${i}], v, s${r}_${b});
                //# endfor
            }
            //# endfor
            //# endfor
        }
        //# endfor
        //# for t in range(TOKENS)
        //# for b in range(per_lane)
        let seen${t}_${b} = sees(token${t}, at${b}) & (at${b} < end);
        //# endfor
        //# endfor
        //# for r in range(ROWS)
        var new_max${r} = MASKED;
        //# for b in range(per_lane)
        new_max${r} = max(new_max${r}, select(MASKED, s${r}_${b}, seen${r // HEADS}_${b}));
        //# endfor
        new_max${r} = max(running_max${r}, subgroupMax(new_max${r}));
        let rescale${r} = exp(running_max${r} - new_max${r});
        running_max${r} = new_max${r};
        total${r} *= rescale${r};
        //# for i in range(quads_per_lane)
        acc${r}_${i} *= rescale${r};
        //# endfor
        //# for b in range(per_lane)
        let w${r}_${b} = select(0.0, exp(s${r}_${b} - new_max${r}), seen${r // HEADS}_${b});
        total${r} += w${r}_${b};
        //# endfor
        //# endfor
        // Values: all positions of the tile, one after the other. Weights of invisible positions are 0.
        //# for at in range(8 * per_lane)
        {
            let row = values_row(base + min(start + ${at}u, end - 1u), params.value_stride);
            //# for r in range(ROWS)
            let w${r} = vec4f(subgroupBroadcast(w${r}_${at // 8}, ${at % 8}u));
            //# endfor
            //# for i in range(quads_per_lane // quads_per_load)
            {
                //# if whole_chunks
                let v = values_unpack(row, VALUE_COLS, lane + ${8 * i}u);
                //# else
                let v = array<vec4f, 1>(values_vec4(row, VALUE_COLS, lane + ${8 * i}u));
                //# endif
                //# for r in range(ROWS)
                //# for c in range(quads_per_load)
                acc${r}_${quads_per_load * i + c} = fma(w${r}, v[${c}], acc${r}_${quads_per_load * i + c});
                //# endfor
                //# endfor
            }
            //# endfor
        }
        //# endfor
    }
    //# for r in range(ROWS)
    {
        let total = subgroupAdd(total${r});
        if first_token + ${r // HEADS}u < params.n_tokens {
            let row = row_token${r} * params.n_heads + first_head + ${r % HEADS}u;
            let unsplit = params.kv_splits == 1u;
            let at = select((kv_split * params.n_tokens * params.n_heads + row) * (QUADS + 1u), row * QUADS, unsplit);
            let factor = select(1.0, 1.0 / total, unsplit);
            //# for i in range(quads_per_lane // quads_per_load)
            //# for c in range(quads_per_load)
            out[at + (lane + ${8 * i}u) * ${quads_per_load}u + ${c}u] = factor * acc${r}_${quads_per_load * i + c};
            //# endfor
            //# endfor
            if lane == 0u && !unsplit {
                out[at + QUADS] = vec4f(running_max${r}, total, 0.0, 0.0);
            }
        }
    }
    //# endfor
}
