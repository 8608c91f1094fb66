// Mat-vec (GEMV), y = W·x, where W is two stacked matrices of different quantization types. A quantization mix may give
// values more bits than queries and keys, and a second launch would cost more than the smaller matrix.
//
// The first workgroups serve the upper matrix, the others the lower one. A reduction group computes ROWS rows.
//# include reduce
//# include "shared/dot_add.wgsl"
//# for src in ["upper", "lower"]
//# with file = files[loop.index0], UNPACK_LEN = unpack_lens[loop.index0], RUNS = runs[loop.index0], STEP = steps[loop.index0]
//# include "shared/runs.wgsl"
//# with interleaved = false, texture = false
//# include "shared/rows.wgsl"
//# include file
//# endwith
//# include "shared/dual_block.wgsl"
//# endwith
//# endfor

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let group = group_index(at_group, groups);
    let upper_groups = (params.upper_rows + BLOCKS * ROWS - 1u) / (BLOCKS * ROWS);
    let lower = group >= upper_groups;
    let n_rows = select(params.upper_rows, params.lower_rows, lower);
    let row0 = select(0u, params.upper_rows, lower);
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let first = (select(group, group - upper_groups, lower) * BLOCKS + block) * ROWS;
        // Only constant indices are used, so the array can stay in registers.
        var lane_sums: array<f32, ROWS>;
        if lower {
            lane_sums = lower_block(ids, first);
        } else {
            lane_sums = upper_block(ids, first);
        }
        //# for r in range(ROWS)
        let sum${r} = reduce_sum(ids, lane_sums[${r}]);
        //# endfor
        if reduce_lane(ids) == 0u {
            //# for r in range(ROWS)
            if first + ${r}u < n_rows {
                y[row0 + first + ${r}u] = sum${r};
            }
            //# endfor
        }
    }
}
