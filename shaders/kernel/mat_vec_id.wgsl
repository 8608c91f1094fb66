// Mat-vec (GEMV), y = W[expert]·x, where each pair of a token and an expert has a matrix of its own. A reduction group
// computes ROWS rows of one pair.
//
//   for each block: for each chunk p = lane, lane + lanes, …:  load x, unpack W of ROWS rows
//       acc[r] += w[r] · x
//   sum acc over the reduction group; the leader applies the gate and stores
//# include reduce
//# include "shared/dot_add.wgsl"
//# with of = "f32"
//# include "shared/activation.wgsl"
//# endwith
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = INTERLEAVED, texture = INTERLEAVED
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let chunks = params.n_cols / UNPACK_LEN;
    // With a GLU, half of a block's rows are gate rows. The others are the matching up rows.
    let is_glu = params.gated != 0u;
    let outputs = select(ROWS, ROWS / 2u, is_glu);
    let row_groups = (params.n_rows + BLOCKS * outputs - 1u) / (BLOCKS * outputs);
    let group = group_index(at_group, groups);
    let pair = group / row_groups;
    // The 2-D grid may have a few surplus workgroups.
    if pair >= params.n_pairs {
        return;
    }
    // Experts below `expert0` wrap around and fail the test too. Another launch has them.
    let expert = experts[pair] - params.expert0;
    if expert >= params.n_experts {
        return;
    }
    let expert_row = expert * params.expert_rows;
    let x0 = pair / params.share * (params.n_cols / 4u);
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let first = ((group % row_groups) * BLOCKS + block) * outputs;
        //# for r in range(ROWS)
        let output${r} = min(first + select(${r}u, ${r % (ROWS // 2)}u, is_glu), params.n_rows - 1u);
        let row${r} = weights_row(expert_row + output${r} + select(0u, ${r // (ROWS // 2)}u * params.up_row, is_glu), params.stride);
        var acc${r} = 0.0;
        //# endfor
        // Neighbouring lanes take neighbouring chunks, so that loads coalesce.
        for (var p = reduce_lane(ids); p < chunks; p += reduce_lanes(ids)) {
            let at = x0 + column(p * UNPACK_QUADS);
            //# for i in range(UNPACK_LEN // 4)
            let v${i} = x[at + ${RUNS * i // (UNPACK_LEN // 4) * (STEP // 4) + i % (UNPACK_LEN // 4 // RUNS)}u];
            //# endfor
            //# for r in range(ROWS)
            let w${r} = weights_unpack(row${r}, params.n_cols, p);
            //# for i in range(UNPACK_LEN // 4)
            acc${r} = dot_add(w${r}[${i}], v${i}, acc${r});
            //# endfor
            //# endfor
        }
        //# for r in range(ROWS)
        let sum${r} = reduce_sum(ids, acc${r});
        //# endfor
        if reduce_lane(ids) == 0u {
            let to = pair * params.ld + params.row0 + first;
            if is_glu {
                //# for r in range(ROWS // 2)
                if first + ${r}u < params.n_rows {
                    y[to + ${r}u] = activate(sum${r}) * sum${r + ROWS // 2};
                }
                //# endfor
            } else {
                //# for r in range(ROWS)
                if first + ${r}u < params.n_rows {
                    y[to + ${r}u] = sum${r};
                }
                //# endfor
            }
        }
    }
}
