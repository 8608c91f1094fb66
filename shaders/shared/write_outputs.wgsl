// The leader of the reduction group applies the epilogue to its sums and stores them. They are ROWS rows from
// output `first` on, and VECS vectors from `vec0` on.
if reduce_lane(ids) == 0u {
    //# for c in range(VECS)
    let at${c} = (vec0 + ${c}u) * params.ld + params.row0 + first;
    if vec0 + ${c}u < params.n_vecs {
        //# if ROWS % 2 == 0
        if is_glu {
            //# for r in range(ROWS // 2)
            if first + ${r}u < params.n_rows {
                y[at${c} + ${r}u] = activate(sum${r}_${c}) * sum${r + ROWS // 2}_${c};
            }
            //# endfor
        } else {
            //# for r in range(ROWS)
            if first + ${r}u < params.n_rows {
                write_output(at${c} + ${r}u, sum${r}_${c});
            }
            //# endfor
        }
        //# else
        //# for r in range(ROWS)
        if first + ${r}u < params.n_rows {
            write_output(at${c} + ${r}u, sum${r}_${c});
        }
        //# endfor
        //# endif
    }
    //# endfor
}
