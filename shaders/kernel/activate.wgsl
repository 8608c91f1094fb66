// Elementwise activation in place, after a bias that repeats every `period` values. Four values per invocation.
//# include reduce
//# with of = "vec4f"
//# include "shared/activation.wgsl"
//# endwith

fn invocation(ids: Ids, at_group: vec3u, groups: vec3u) {
    let i = global_index(ids, at_group, groups);
    if i >= params.n / 4u {
        return;
    }
    //# if BIAS
    x[i] = activate(x[i] + bias[i % (params.period / 4u)]);
    //# else
    x[i] = activate(x[i]);
    //# endif
}
