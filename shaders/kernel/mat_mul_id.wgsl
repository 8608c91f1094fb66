// Matmul (GEMM), y = W[expert]·x, where pairs of a token and an expert are sorted by expert. A reduction group computes ROWS
// rows of the pairs of one expert. It takes VECS pairs at a time, and decodes every weight once for them.
//
//   for each block: for VECS pairs of the expert at a time: for each chunk p = lane, lane + lanes, …:
//       load x of VECS pairs, unpack W of ROWS rows
//       acc[r][c] += w[r] · x[c]
//     sum acc over the reduction group; the leader applies the gate and stores
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
    let expert = group / row_groups;
    // The 2-D grid may have a few surplus workgroups.
    if expert >= params.n_experts {
        return;
    }
    let begin = starts[params.expert0 + expert];
    let end = starts[params.expert0 + expert + 1u];
    let expert_row = expert * params.expert_rows;
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let first = ((group % row_groups) * BLOCKS + block) * outputs;
        //# for r in range(ROWS)
        let output${r} = min(first + select(${r}u, ${r % (ROWS // 2)}u, is_glu), params.n_rows - 1u);
        let row${r} = weights_row(expert_row + output${r} + select(0u, ${r // (ROWS // 2)}u * params.up_row, is_glu), params.stride);
        //# endfor
        for (var i0 = begin; i0 < end; i0 += VECS) {
            //# for c in range(VECS)
            let pair${c} = order[min(i0 + ${c}u, end - 1u)];
            let x${c} = pair${c} / params.share * (params.n_cols / 4u);
            //# for r in range(ROWS)
            var acc${r}_${c} = 0.0;
            //# endfor
            //# endfor
            // Neighbouring lanes take neighbouring chunks, so that loads coalesce.
            for (var p = reduce_lane(ids); p < chunks; p += reduce_lanes(ids)) {
                let at = column(p * UNPACK_QUADS);
                //# for r in range(ROWS)
                let w${r} = weights_unpack(row${r}, params.n_cols, p);
                //# endfor
                //# for i in range(UNPACK_LEN // 4)
                //# for c in range(VECS)
                let v${c}_${i} = x[x${c} + at + ${RUNS * i // (UNPACK_LEN // 4) * (STEP // 4) + i % (UNPACK_LEN // 4 // RUNS)}u];
                //# for r in range(ROWS)
                acc${r}_${c} = dot_add(w${r}[${i}], v${c}_${i}, acc${r}_${c});
                //# endfor
                //# endfor
                //# endfor
            }
            //# for c in range(VECS)
            //# for r in range(ROWS)
            let sum${r}_${c} = reduce_sum(ids, acc${r}_${c});
            //# endfor
            //# endfor
            if reduce_lane(ids) == 0u {
                //# for c in range(VECS)
                if i0 + ${c}u < end {
                    let to = pair${c} * params.ld + params.row0 + first;
                    if is_glu {
                        //# for r in range(ROWS // 2)
                        if first + ${r}u < params.n_rows {
                            y[to + ${r}u] = activate(sum${r}_${c}) * sum${r + ROWS // 2}_${c};
                        }
                        //# endfor
                    } else {
                        //# for r in range(ROWS)
                        if first + ${r}u < params.n_rows {
                            y[to + ${r}u] = sum${r}_${c};
                        }
                        //# endfor
                    }
                }
                //# endfor
            }
        }
    }
}
