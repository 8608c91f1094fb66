// Mat-vec (GEMV), y = W·x, for small batches, where each of eight lanes owns ROWS rows of W. No sum crosses lanes, and a
// header of scales is read once for all its chunks. The lanes' rows are neighbours, and interleaved in memory.
//
//   for each 32 columns, one chunk or several: each lane loads one vec4 of x per vector
//       broadcast the eight vec4s of x to all lanes
//       each lane: acc[r][c] += w[r] · x[c] for its ROWS rows
//# include "shared/group_index.wgsl"
//# include "shared/dot_add.wgsl"
//# include "shared/epilogue.wgsl"
//# include "shared/runs.wgsl"
//# with src = "weights", interleaved = true, texture = true
//# include "shared/rows.wgsl"
//# include weights_file
//# endwith
//# set chunks_per_step = [32 // UNPACK_LEN, 1] | max
//# set run = UNPACK_LEN // 4 // RUNS
// With up to two vectors, scales and offsets apply to the sum of each run: fewer multiplies. With more, they apply to the
// weights.
//# set scale_sums = CHUNKS_PER_HEADER > 1 and VECS <= 2
// Chunks of a step. It divides CHUNKS_PER_HEADER, so that one header serves the whole step.
const CHUNKS_PER_STEP: u32 = ${chunks_per_step}u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(workgroup_id) at_group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let quads = params.n_cols / 4u;
    let row_chunks = params.n_cols / UNPACK_LEN;
    // With a GLU, half of a lane's rows are gate rows. The others are the matching up rows, at W row + `n_rows`.
    let is_glu = params.epilogue == GLU;
    let outputs = select(ROWS, ROWS / 2u, is_glu);
    let row_groups = (params.n_rows + 8u * outputs - 1u) / (8u * outputs);
    let group = group_index(at_group, groups);
    let vec0 = (group / row_groups) * VECS;
    // The 2-D grid may have a few surplus workgroups.
    if vec0 >= params.n_vecs {
        return;
    }
    //# for c in range(VECS)
    let x${c} = min(vec0 + ${c}u, params.n_vecs - 1u) * quads;
    //# endfor
    let first = (group % row_groups) * 8u * outputs + lane;
    //# for r in range(ROWS)
    let output${r} = min(first + select(${8 * r}u, ${8 * (r % (ROWS // 2))}u, is_glu), params.n_rows - 1u);
    let row${r} = weights_row(output${r} + select(0u, ${r // (ROWS // 2)}u * params.n_rows, is_glu), params.stride);
    //# for c in range(VECS)
    var acc${r}_${c} = 0.0;
    //# endfor
    //# endfor
    //# if CHUNKS_PER_HEADER > 1
    for (var p0 = 0u; p0 < row_chunks; p0 += CHUNKS_PER_HEADER) {
        //# for r in range(ROWS)
        let header${r} = weights_header(row${r}, params.n_cols, p0 / CHUNKS_PER_HEADER);
        //# endfor
        let end = min(p0 + CHUNKS_PER_HEADER, row_chunks);
    //# else
    {
        let p0 = 0u;
        let end = row_chunks;
    //# endif
        for (var p = p0; p < end; p += CHUNKS_PER_STEP) {
            let at = column(p * UNPACK_QUADS + lane);
            //# for c in range(VECS)
            //# if chunks_per_step > 1
            // Beyond the row x is zero, so that the last chunk, which repeats below, adds nothing.
            let lane_x${c} = select(vec4f(), x[x${c} + min(at, quads - 1u)], at < quads);
            //# else
            let lane_x${c} = x[x${c} + at];
            //# endif
            //# for i in range(8)
            let v${c}_${i} = subgroupBroadcast(lane_x${c}, ${i}u);
            //# endfor
            //# endfor
            //# if scale_sums
            // Σ x over each run: Σ (s·m + o)·x = s·Σ m·x + o·Σ x, with m, s and o of shared/affine.wgsl.
            //# for c in range(VECS)
            //# for k in range(8 // run)
            var sum${c}_${k} = v${c}_${k * run};
            //# for i in range(1, run)
            sum${c}_${k} += v${c}_${k * run + i};
            //# endfor
            let x_sum${c}_${k} = (sum${c}_${k}.x + sum${c}_${k}.y) + (sum${c}_${k}.z + sum${c}_${k}.w);
            //# endfor
            //# endfor
            //# endif
            //# for r in range(ROWS)
            //# for j in range(chunks_per_step)
            {
                //# set chunk = "min(p + " ~ j ~ "u, row_chunks - 1u)" if j > 0 else "p"
                //# if scale_sums
                let w = weights_mantissas(row${r}, params.n_cols, ${chunk});
                let s = weights_affine(header${r}, ${chunk});
                //# for c in range(VECS)
                //# for k in range(RUNS)
                var raw${c}_${k} = 0.0;
                //# for i in range(run)
                raw${c}_${k} = dot_add(w[${k * run + i}], v${c}_${j * (UNPACK_LEN // 4) + k * run + i}, raw${c}_${k});
                //# endfor
                acc${r}_${c} = fma(s[${k}], raw${c}_${k}, fma(s[${2 + k}], x_sum${c}_${j * RUNS + k}, acc${r}_${c}));
                //# endfor
                //# endfor
                //# else
                //# if CHUNKS_PER_HEADER > 1
                let w = weights_unpack_with(header${r}, row${r}, params.n_cols, ${chunk});
                //# else
                let w = weights_unpack(row${r}, params.n_cols, ${chunk});
                //# endif
                //# for c in range(VECS)
                //# for i in range(UNPACK_LEN // 4)
                acc${r}_${c} = dot_add(w[${i}], v${c}_${j * (UNPACK_LEN // 4) + i}, acc${r}_${c});
                //# endfor
                //# endfor
                //# endif
            }
            //# endfor
            //# endfor
        }
    }
    //# for c in range(VECS)
    let at${c} = (vec0 + ${c}u) * params.ld + params.row0 + first;
    if vec0 + ${c}u < params.n_vecs {
        if is_glu {
            //# for r in range(ROWS // 2)
            if first + ${8 * r}u < params.n_rows {
                y[at${c} + ${8 * r}u] = activate(acc${r}_${c}) * acc${r + ROWS // 2}_${c};
            }
            //# endfor
        } else {
            //# for r in range(ROWS)
            if first + ${8 * r}u < params.n_rows {
                write_output(at${c} + ${8 * r}u, acc${r}_${c});
            }
            //# endfor
        }
    }
    //# endfor
}
