// Elementwise activation in place, after a bias that repeats every `period` values. Four values per invocation.
//# include reduce
//# with of = "vec4f"
//# include "shared/activation.wgsl"
//# endwith

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(ids: Ids, @builtin(workgroup_id) at_group: vec3u, @builtin(num_workgroups) groups: vec3u) {
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
