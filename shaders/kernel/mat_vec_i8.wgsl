// Mat-vec (GEMV), y = W·x, for small batches of 8-bit activations, with packed integer dot products (DP4A). A reduction
// group computes a block of ROWS rows of W by VECS vectors.
//
// A weight is s · q + o and an activation is d · b, with integers q and b. So for a run of 16 weights:
//
//   Σ (s · q + o) · d · b = s · d · Σ q · b + o · d · Σ b
//
// Both sums are exact in integers, and scales are applied once per run. A run of 16 quants q or b is four packed u32.
//# include reduce
//# include "shared/epilogue.wgsl"
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = INTERLEAVED, texture = INTERLEAVED
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith
//# with src = "x", interleaved = false, texture = false
//# include "shared/rows.wgsl"
//# include x_file
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let chunks = params.n_cols / UNPACK_LEN;
    // With a GLU, half of a block's rows are gate rows. The others are the matching up rows, at W row + `n_rows`.
    let is_glu = params.epilogue == GLU;
    let outputs = select(ROWS, ROWS / 2u, is_glu);
    let row_groups = (params.n_rows + BLOCKS * outputs - 1u) / (BLOCKS * outputs);
    let group = group_index(at_group, groups);
    let vec0 = (group / row_groups) * VECS;
    // The 2-D grid may have a few surplus workgroups.
    if vec0 >= params.n_vecs {
        return;
    }
    //# for c in range(VECS)
    let x${c} = x_row(min(vec0 + ${c}u, params.n_vecs - 1u), params.x_stride);
    //# endfor
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let first = ((group % row_groups) * BLOCKS + block) * outputs;
        //# for r in range(ROWS)
        let output${r} = min(first + select(${r}u, ${r % (ROWS // 2)}u, is_glu), params.n_rows - 1u);
        let row${r} = weights_row(output${r} + select(0u, ${r // (ROWS // 2)}u * params.n_rows, is_glu), params.stride);
        //# for c in range(VECS)
        var acc${r}_${c} = 0.0;
        //# endfor
        //# endfor
        for (var p = reduce_lane(ids); p < chunks; p += reduce_lanes(ids)) {
            // `at` counts vec4s of values. Four are 16 bytes, one vec4 of x. Eight are one block with a scale.
            let at = column(p * UNPACK_QUADS);
            //# for c in range(VECS)
            //# for k in range(RUNS)
            let v${c}_${k} = x_at(x${c}, (at + ${k * (STEP // 4)}u) >> 2u);
            let d${c}_${k} = x_scale(x${c}, params.n_cols, (at + ${k * (STEP // 4)}u) >> 3u);
            // d · Σ b, the factor of the offset o: a dot product with ones.
            let b_sum${c}_${k} = d${c}_${k} * f32(
                dot4I8Packed(v${c}_${k}.x, 0x01010101u) + dot4I8Packed(v${c}_${k}.y, 0x01010101u)
                + dot4I8Packed(v${c}_${k}.z, 0x01010101u) + dot4I8Packed(v${c}_${k}.w, 0x01010101u));
            //# endfor
            //# endfor
            //# for r in range(ROWS)
            {
                let w = weights_packed(row${r}, params.n_cols, p);
                let s = weights_packed_affine(weights_affine(weights_header(row${r}, params.n_cols, p / CHUNKS_PER_HEADER), p));
                //# for c in range(VECS)
                //# for k in range(RUNS)
                let sum${c}_${k} = dot4I8Packed(w[${4 * k}], v${c}_${k}.x) + dot4I8Packed(w[${4 * k + 1}], v${c}_${k}.y)
                    + dot4I8Packed(w[${4 * k + 2}], v${c}_${k}.z) + dot4I8Packed(w[${4 * k + 3}], v${c}_${k}.w);
                acc${r}_${c} = fma(s[${k}], d${c}_${k} * f32(sum${c}_${k}), fma(s[${2 + k}], b_sum${c}_${k}, acc${r}_${c}));
                //# endfor
                //# endfor
            }
            //# endfor
        }
        //# for r in range(ROWS)
        //# for c in range(VECS)
        let sum${r}_${c} = reduce_sum(ids, acc${r}_${c});
        //# endfor
        //# endfor
        //# include "shared/write_outputs.wgsl"
    }
}
