// Recurrence of Gated DeltaNet (Yang et al. 2024). A reduction group computes four columns of the state S of one head, and
// keeps them in registers over all tokens.
//
//   for each token:  g = exp(decay · softplus(a + dt_bias)), β = sigmoid(b)
//       for each column s:  δ = β · (v - g · sᵀk);  s = g · s + δ · k;  out = scale · sᵀq
//
// Columns are independent, because S appears only in products Sᵀk and Sᵀq. Lanes share a column's keys.
//# include reduce

// ln(1 + exp(v)), without overflow.
fn softplus(v: f32) -> f32 {
    return max(v, 0.0) + log(1.0 + exp(-abs(v)));
}

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let head_groups = (params.value + BLOCKS * COLUMNS - 1u) / (BLOCKS * COLUMNS);
    let group = group_index(at_group, groups);
    let head = group / head_groups;
    // The 2-D grid may have a few surplus workgroups.
    if head >= params.value_heads {
        return;
    }
    let first_q = head % params.key_heads * KEY_QUADS;
    let first_k = params.key_heads * KEY_QUADS + first_q;
    let first_v = 2u * params.key_heads * KEY_QUADS + head * (params.value / 4u);
    //# for i in range(QUADS)
    let quad${i} = reduce_lane(ids) + ${i}u * reduce_lanes(ids);
    let is_key${i} = quad${i} < KEY_QUADS;
    let at${i} = min(quad${i}, KEY_QUADS - 1u);
    //# endfor
    for (var block = reduce_group(ids); block < BLOCKS; block += reduce_groups(ids)) {
        let column = (group % head_groups * BLOCKS + block) * COLUMNS;
        // Beyond the last column, the group repeats the last ones and stores nothing: its sums need all lanes.
        let is_column = column < params.value;
        let first = min(column, params.value - COLUMNS);
        //# for c in range(COLUMNS)
        let state${c} = (head * params.value + first + ${c}u) * KEY_QUADS;
        //# for i in range(QUADS)
        var s${c}_${i} = select(vec4f(), state[state${c} + at${i}], is_key${i});
        //# endfor
        //# endfor
        for (var t = params.token0; t < params.token0 + params.n_tokens; t++) {
            let row = t * (params.ld / 4u);
            let gate = t * params.gates_ld + head;
            let g = exp(decay[head] * softplus(gates[gate + params.alpha0] + dt_bias[head]));
            let beta = 1.0 / (1.0 + exp(-gates[gate + params.beta0]));
            let v = qkv[row + first_v + first / 4u];
            //# for i in range(QUADS)
            let q${i} = select(vec4f(), qkv[row + first_q + at${i}], is_key${i});
            let k${i} = select(vec4f(), qkv[row + first_k + at${i}], is_key${i});
            //# endfor
            //# for c in range(COLUMNS)
            var memory${c} = 0.0;
            //# for i in range(QUADS)
            memory${c} += dot(s${c}_${i}, k${i});
            //# endfor
            let delta${c} = beta * (v[${c}] - g * reduce_sum(ids, memory${c}));
            var product${c} = 0.0;
            //# for i in range(QUADS)
            s${c}_${i} = g * s${c}_${i} + delta${c} * k${i};
            product${c} += dot(s${c}_${i}, q${i});
            //# endfor
            let out${c} = params.scale * reduce_sum(ids, product${c});
            //# endfor
            if is_column && reduce_lane(ids) == 0u {
                out[((t * params.value_heads + head) * params.value + first) / 4u] = vec4f(out0, out1, out2, out3);
            }
        }
        //# for c in range(COLUMNS)
        //# for i in range(QUADS)
        if is_column && is_key${i} {
            state[state${c} + at${i}] = s${c}_${i};
        }
        //# endfor
        //# endfor
    }
}
