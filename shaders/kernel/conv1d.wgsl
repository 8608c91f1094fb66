// Causal depthwise convolution with SiLU and a state. An invocation computes one channel, token after token, and keeps the
// last WIDTH - 1 inputs in registers.
//# include reduce

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let c = global_index(ids, at_group, groups);
    if c >= params.n_channels {
        return;
    }
    //# for k in range(WIDTH)
    let w${k} = weights[c * WIDTH + ${k}u];
    //# endfor
    //# for k in range(WIDTH - 1)
    var input${k} = state[${k}u * params.n_channels + c];
    //# endfor
    for (var t = params.token0; t < params.token0 + params.n_tokens; t++) {
        let input${WIDTH - 1} = x[t * params.ld + params.first + c];
        var sum = 0.0;
        //# for k in range(WIDTH)
        sum = fma(w${k}, input${k}, sum);
        //# endfor
        y[t * params.n_channels + c] = sum / (1.0 + exp(-sum));
        //# for k in range(WIDTH - 1)
        input${k} = input${k + 1};
        //# endfor
    }
    //# for k in range(WIDTH - 1)
    state[${k}u * params.n_channels + c] = input${k};
    //# endfor
}
