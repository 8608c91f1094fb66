// The lane's partial sums of ROWS rows of one of the two matrices of mat_vec_dual, from row `first` on.
fn ${src}_block(ids: Ids, first: u32) -> array<f32, ROWS> {
    //# for r in range(ROWS)
    let row${r} = ${src}_row(min(first + ${r}u, params.${src}_rows - 1u), params.${src}_stride);
    var acc${r} = 0.0;
    //# endfor
    // As in mat_vec.wgsl, for one vector: neighbouring lanes take neighbouring chunks.
    for (var p = reduce_lane(ids); p < params.n_cols / ${UNPACK_LEN}u; p += reduce_lanes(ids)) {
        let at = ${src}_column(p * ${src}_UNPACK_QUADS);
        //# for i in range(UNPACK_LEN // 4)
        let v${i} = x[at + ${RUNS * i // (UNPACK_LEN // 4) * (STEP // 4) + i % (UNPACK_LEN // 4 // RUNS)}u];
        //# endfor
        //# for r in range(ROWS)
        let w${r} = ${src}_unpack(row${r}, params.n_cols, p);
        //# for i in range(UNPACK_LEN // 4)
        acc${r} = dot_add(w${r}[${i}], v${i}, acc${r});
        //# endfor
        //# endfor
    }
    return array<f32, ROWS>(
        //# for r in range(ROWS)
        acc${r},
        //# endfor
    );
}
