// Fused attention as in attention.wgsl, by eight lanes that need no workgroup memory: what all of them want, one holds
// and broadcasts. Scores: EACH positions per lane. Values: an eighth of the head per lane.
//# include reduce
//# include "shared/dot_add.wgsl"
//# with src = "keys", interleaved = false, texture = true
//# include "shared/rows.wgsl"
//# include keys_file
//# endwith
//# with src = "values", interleaved = false, texture = true
//# include "shared/rows.wgsl"
//# include values_file
//# endwith
//# set quads = HEAD // 4
//# set held = quads // 8
//# set each = 2
// Whole parts per lane where the format's are small enough, single vec4 otherwise.
//# set whole = HEAD % (8 * VALUES_UNPACK_LEN) == 0
//# set piece = VALUES_UNPACK_LEN // 4 if whole else 1
const QUADS: u32 = HEAD / 4u;
const EACH: u32 = ${each}u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(workgroup_id) at_group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    //# include "shared/kv_split.wgsl"
    // Row r is query token0 + r / GROUP, head kv_head · GROUP + r % GROUP. A lane holds every eighth vec4 of it.
    //# for r in range(ROWS)
    let of${r} = min(token0 + ${r // GROUP}u, params.n_tokens - 1u);
    let query${r} = of${r} * (params.ld / 4u) + (kv_head * GROUP + ${r % GROUP}u) * QUADS + lane;
    let last${r} = params.position + of${r};
    var top${r} = MASKED;
    var total${r} = 0.0;
    //# for i in range(held)
    let q${r}_${i} = params.scale * q[query${r} + ${8 * i}u];
    var acc${r}_${i} = vec4f();
    //# endfor
    //# endfor
    let end = min(last${ROWS - 1} + 1u, (kv_split + 1u) * params.split_len);
    let base = kv_head * params.capacity;
    for (var start = kv_split * params.split_len; start < end; start += 8u * EACH) {
        //# for b in range(each)
        let at${b} = start + ${8 * b}u + lane;
        let key${b} = keys_row(base + min(at${b}, end - 1u), params.key_stride);
        //# for r in range(ROWS)
        var s${r}_${b} = 0.0;
        //# endfor
        //# endfor
        //# for p in range(HEAD // UNPACK_LEN)
        {
            //# for b in range(each)
            let k${b} = keys_unpack(key${b}, HEAD, ${p}u);
            //# endfor
            //# for r in range(ROWS)
            //# for i in range(UNPACK_LEN // 4)
            {
                //# set quad = p * (UNPACK_LEN // 4) + i
                let v = subgroupBroadcast(q${r}_${quad // 8}, ${quad % 8}u);
                //# for b in range(each)
                s${r}_${b} = dot_add(k${b}[${i}], v, s${r}_${b});
                //# endfor
            }
            //# endfor
            //# endfor
        }
        //# endfor
        //# for r in range(ROWS)
        var new${r} = MASKED;
        //# for b in range(each)
        let seen${r}_${b} = at${b} <= last${r} && at${b} < end;
        new${r} = max(new${r}, select(MASKED, s${r}_${b}, seen${r}_${b}));
        //# endfor
        new${r} = max(top${r}, subgroupMax(new${r}));
        let rescale${r} = exp(top${r} - new${r});
        top${r} = new${r};
        total${r} *= rescale${r};
        //# for i in range(held)
        acc${r}_${i} *= rescale${r};
        //# endfor
        //# for b in range(each)
        let w${r}_${b} = select(0.0, exp(s${r}_${b} - new${r}), seen${r}_${b});
        total${r} += w${r}_${b};
        //# endfor
        //# endfor
        //# for at in range(8 * each)
        {
            let row = values_row(base + min(start + ${at}u, end - 1u), params.value_stride);
            //# for r in range(ROWS)
            let w${r} = vec4f(subgroupBroadcast(w${r}_${at // 8}, ${at % 8}u));
            //# endfor
            //# for i in range(held // piece)
            {
                //# if whole
                let v = values_unpack(row, HEAD, lane + ${8 * i}u);
                //# else
                let v = array<vec4f, 1>(values_vec4(row, HEAD, lane + ${8 * i}u));
                //# endif
                //# for r in range(ROWS)
                //# for c in range(piece)
                acc${r}_${piece * i + c} = fma(w${r}, v[${c}], acc${r}_${piece * i + c});
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
        if token0 + ${r // GROUP}u < params.n_tokens {
            let row = of${r} * params.n_heads + kv_head * GROUP + ${r % GROUP}u;
            let whole = kv_splits == 1u;
            let at = select((kv_split * params.n_tokens * params.n_heads + row) * (QUADS + 1u), row * QUADS, whole);
            let share = select(1.0, 1.0 / total, whole);
            //# for i in range(held // piece)
            //# for c in range(piece)
            out[at + (lane + ${8 * i}u) * ${piece}u + ${c}u] = share * acc${r}_${piece * i + c};
            //# endfor
            //# endfor
            if lane == 0u && !whole {
                out[at + QUADS] = vec4f(top${r}, total, 0.0, 0.0);
            }
        }
    }
    //# endfor
}
