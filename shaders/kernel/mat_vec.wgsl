// y = W·x for one to a few vectors. A team owns ROWS rows of W and COLS vectors: every weight is decoded once
// for all COLS. Accumulators are named scalars, because indexed private arrays spill.
//# include reduce
//# with src = "weights"
//# include weights_file
//# endwith

@compute @workgroup_size(LANES)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let parts = params.n_cols / PART;
    let row_groups = (params.n_rows + BLOCKS * ROWS - 1u) / (BLOCKS * ROWS);
    let group = group_index(at_group, groups);
    let col0 = (group / row_groups) * COLS;
    // The folded grid may hold a few workgroups too many.
    if col0 >= params.n_vecs {
        return;
    }
    //# for c in range(COLS)
    let x${c} = min(col0 + ${c}u, params.n_vecs - 1u) * (params.n_cols / 4u);
    //# endfor
    for (var block = team(ids); block < BLOCKS; block += teams(ids)) {
        let first = ((group % row_groups) * BLOCKS + block) * ROWS;
        //# for r in range(ROWS)
        let row${r} = min(first + ${r}u, params.n_rows - 1u) * params.stride;
        //# for c in range(COLS)
        var acc${r}_${c} = 0.0;
        //# endfor
        //# endfor
        for (var p = team_lane(ids); p < parts; p += team_lanes(ids)) {
            let at = p * (PART / 4u);
            //# for c in range(COLS)
            //# for i in range(PART // 4)
            let v${c}_${i} = x[x${c} + at + ${i}u];
            //# endfor
            //# endfor
            //# for r in range(ROWS)
            let w${r} = weights_unpack(row${r}, params.n_cols, p);
            //# for c in range(COLS)
            //# for i in range(PART // 4)
            acc${r}_${c} += dot(w${r}[${i}], v${c}_${i});
            //# endfor
            //# endfor
            //# endfor
        }
        //# for r in range(ROWS)
        //# for c in range(COLS)
        let sum${r}_${c} = team_sum(ids, acc${r}_${c});
        //# endfor
        //# endfor
        if team_lane(ids) == 0u {
            //# for r in range(ROWS)
            //# for c in range(COLS)
            if first + ${r}u < params.n_rows && col0 + ${c}u < params.n_vecs {
                y[(col0 + ${c}u) * params.ld + params.row0 + first + ${r}u] = sum${r}_${c};
            }
            //# endfor
            //# endfor
        }
    }
}
