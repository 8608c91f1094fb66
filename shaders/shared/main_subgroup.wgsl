// Entry point of a kernel with subgroup operations. It calls the kernel's `invocation`. Builtins are direct arguments, as
// in `main_local.wgsl`.
struct Ids { local: u32, subgroup: u32, subgroups: u32, lane: u32, size: u32 }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(workgroup_id) at_group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    //# if tables is defined and tables
    //# for src in tables
    ${src}_fill_table(local);
    //# endfor
    workgroupBarrier();
    //# endif
    invocation(Ids(local, subgroup, subgroups, lane, size), at_group, groups);
}
