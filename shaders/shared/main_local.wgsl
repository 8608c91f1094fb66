// Entry point of a kernel without subgroup operations. It calls the kernel's `invocation`.
//
// Builtins are direct arguments. As members of a struct, some have no semantic in HLSL and a wrong name in MSL (naga 30).
struct Ids { local: u32 }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) at_group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    //# if tables is defined and tables
    //# for src in tables
    ${src}_fill_table(local);
    //# endfor
    workgroupBarrier();
    //# endif
    invocation(Ids(local), at_group, groups);
}
