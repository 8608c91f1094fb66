// Mat-vec (GEMV), y = W·x, for small batches. A reduction group computes a block of ROWS rows of W by VECS vectors, so
// every weight is decoded once for all VECS.
//
//   for each block: for each chunk p = lane, lane + lanes, …:  load x of VECS vectors, unpack W of ROWS rows
//       acc[r][c] += w[r] · x[c]
//   sum acc over the reduction group; the leader applies the epilogue and stores
//
// Accumulators are named scalars, because indexed private arrays spill. The epilogue is a parameter and not a variant:
// it costs one uniform branch per block.
//# include reduce
//# include "shared/dot_add.wgsl"
//# include "shared/epilogue.wgsl"
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = false, texture = false
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let chunks = params.n_cols / UNPACK_LEN;
    //# if ROWS % 2 == 0
    // With a GLU, half of a block's rows are gate rows. The others are the matching up rows, at W row + `n_rows`.
    let is_glu = params.epilogue == GLU;
    let outputs = select(ROWS, ROWS / 2u, is_glu);
    //# else
    let outputs = ROWS;
    //# endif
    let row_groups = (params.n_rows + BLOCKS * outputs - 1u) / (BLOCKS * outputs);
    let group = group_index(at_group, groups);
    let vec0 = (group / row_groups) * VECS;
    // The 2-D grid may have a few surplus workgroups.
    if vec0 >= params.n_vecs {
        return;
    }
    //# for c in range(VECS)
    let x${c} = min(vec0 + ${c}u, params.n_vecs - 1u) * (params.n_cols / 4u);
    //# endfor
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let first = ((group % row_groups) * BLOCKS + block) * outputs;
        //# for r in range(ROWS)
        //# if ROWS % 2 == 0
        let output${r} = min(first + select(${r}u, ${r % (ROWS // 2)}u, is_glu), params.n_rows - 1u);
        let row${r} = weights_row(output${r} + select(0u, ${r // (ROWS // 2)}u * params.n_rows, is_glu), params.stride);
        //# else
        let row${r} = weights_row(min(first + ${r}u, params.n_rows - 1u), params.stride);
        //# endif
        //# for c in range(VECS)
        var acc${r}_${c} = 0.0;
        //# endfor
        //# endfor
        // Neighbouring lanes take neighbouring chunks, so that loads coalesce.
        for (var p = reduce_lane(ids); p < chunks; p += reduce_lanes(ids)) {
            // Vec4 `i` of the chunk matches x at `at` plus a constant, which is the template's expression below.
            let at = column(p * UNPACK_QUADS);
            // Loop order: keep the smaller operand in registers, and stream the larger one. Fewer registers are live.
            //# if VECS > ROWS
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
            //# else
            //# for c in range(VECS)
            //# for i in range(UNPACK_LEN // 4)
            let v${c}_${i} = x[x${c} + at + ${RUNS * i // (UNPACK_LEN // 4) * (STEP // 4) + i % (UNPACK_LEN // 4 // RUNS)}u];
            //# endfor
            //# endfor
            //# for r in range(ROWS)
            let w${r} = weights_unpack(row${r}, params.n_cols, p);
            //# for c in range(VECS)
            //# for i in range(UNPACK_LEN // 4)
            acc${r}_${c} = dot_add(w${r}[${i}], v${c}_${i}, acc${r}_${c});
            //# endfor
            //# endfor
            //# endfor
            //# endif
        }
        // Split-K: all sums of the block cross the subgroups with one barrier.
        //# if SUMS > 0
        //# for r in range(ROWS)
        //# for c in range(VECS)
        store_partial_sum(ids, ${r * VECS + c}u, acc${r}_${c});
        //# endfor
        //# endfor
        workgroupBarrier();
        //# endif
        //# for r in range(ROWS)
        //# for c in range(VECS)
        //# if SUMS > 0
        let sum${r}_${c} = total_sum(ids, ${r * VECS + c}u);
        //# else
        let sum${r}_${c} = reduce_sum(ids, acc${r}_${c});
        //# endif
        //# endfor
        //# endfor
        //# include "shared/write_outputs.wgsl"
    }
}
