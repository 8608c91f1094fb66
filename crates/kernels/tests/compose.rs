//! Every variant of every kernel renders, validates in naga and translates to HLSL, MSL and SPIR-V. It keeps WebGPU's
//! default limits, and its parameters and bindings match the Rust declaration. Needs no GPU.

mod translate;

use naga::{AddressSpace, TypeInner};
use ridgeline_compute::{Access, AnyKernel, Caps, TestRng};
use std::collections::HashSet;
use std::sync::OnceLock;
use translate::{Shader, roomy};

/// Every variant for every subgroup size.
fn shaders() -> &'static [Shader] {
    static SHADERS: OnceLock<Vec<Shader>> = OnceLock::new();
    SHADERS.get_or_init(|| {
        let linker = ridgeline_kernels::linker().expect("shipped templates are valid");
        let one = [4, 8, 16, 32, 64].map(|size| Caps { subgroup: Some((size, size)), ..roomy() });
        let devices = one.into_iter().chain([roomy()]);
        let kernels: HashSet<AnyKernel> = devices.flat_map(|caps| ridgeline_kernels::all(&caps)).collect();
        kernels
            .into_iter()
            .map(|kernel| Shader::new(&linker, kernel).unwrap_or_else(|e| panic!("{e}")))
            .collect()
    })
}

#[test]
fn every_variant_is_valid_and_within_default_limits() {
    let shaders = shaders();
    assert!(shaders.len() > 2000, "only {} variants", shaders.len());
    let caps = Caps::webgpu();
    let default: HashSet<AnyKernel> = ridgeline_kernels::all(&Caps::everything()).into_iter().collect();
    for shader in shaders {
        let entry = &shader.module.entry_points[0];
        assert_eq!(entry.name, "main", "{}", shader.label);
        assert!(entry.workgroup_size.iter().product::<u32>() <= caps.max_invocations, "{}", shader.label);
        let bytes = shader.workgroup_bytes();
        let limits = if default.contains(&shader.kernel) { caps.clone() } else { roomy() };
        let most = limits.max_workgroup_memory;
        assert!(bytes <= most, "{}: {bytes} bytes of workgroup memory", shader.label);
        assert!(shader.kernel.bindings().len() <= 8, "{}: too many bindings", shader.label);
        let textures =
            shader.kernel.bindings().iter().filter(|binding| shader.kernel.in_texture(binding)).count();
        let immediates = 4 * (shader.kernel.params().len() + textures);
        assert!(
            immediates <= caps.max_immediates as usize,
            "{}: {immediates} bytes of immediates",
            shader.label
        );
        let uses_f16 = shader.wgsl.contains("f16,") || shader.wgsl.contains("= f16;");
        assert!(!uses_f16 || shader.wgsl.contains("enable f16;"), "{}: f16 without enable", shader.label);
    }
}

#[test]
fn parameters_and_bindings_match_the_rust_declaration() {
    for shader in shaders() {
        let globals = &shader.module.global_variables;
        let info = shader.info.get_entry_point(0);
        let params = globals.iter().find(|(_, g)| g.space == AddressSpace::Immediate);
        let mut declared: Vec<String> = shader.kernel.params().iter().map(|it| it.0.to_owned()).collect();
        let textures = shader.kernel.bindings().iter().filter(|binding| shader.kernel.in_texture(binding));
        declared.extend(textures.map(|binding| format!("{}_first", binding.name)));
        if let Some((_, global)) = params {
            let TypeInner::Struct { members, span } = &shader.module.types[global.ty].inner else {
                panic!("{}: the parameters are not a struct", shader.label);
            };
            assert_eq!(*span as usize, 4 * declared.len(), "{}", shader.label);
            for (i, (member, name)) in members.iter().zip(&declared).enumerate() {
                assert_eq!(member.name.as_ref(), Some(name), "{}", shader.label);
                assert_eq!(member.offset as usize, 4 * i, "{}", shader.label);
            }
        } else {
            assert!(declared.is_empty(), "{}: parameters are not bound", shader.label);
        }
        let (params, _) = shader.kernel.test_input(&mut TestRng::new(1));
        let min_binding_sizes = shader.kernel.min_binding_size(&params);
        for (index, binding) in shader.kernel.bindings().iter().enumerate() {
            let find = |g: &naga::GlobalVariable| g.binding.is_some_and(|b| b.binding as usize == index);
            let (handle, _) = globals.iter().find(|(_, g)| find(g)).expect("every binding is rendered");
            let used = info[handle];
            let writes = used.contains(naga::valid::GlobalUse::WRITE);
            // A binding that the variant does not use has a minimum size of 0.
            assert_eq!(
                used.is_empty(),
                min_binding_sizes[index] == 0,
                "{}: use of binding {}",
                shader.label,
                binding.name
            );
            if used.is_empty() {
                continue;
            }
            assert_eq!(writes, binding.access != Access::Read, "{}: binding {}", shader.label, binding.name);
            let reads = used.contains(naga::valid::GlobalUse::READ);
            assert_eq!(reads, binding.access != Access::Write, "{}: binding {}", shader.label, binding.name);
        }
    }
}

/// Line numbers of barriers, and of early returns before one, in control flow that is not uniform.
///
/// Control flow is not uniform inside an `if` or a loop over a value that differs between invocations, such as
/// `local`, lanes and subgroup numbers. naga accepts such barriers, browsers and hardware do not.
fn non_uniform_barriers(wgsl: &str) -> Vec<usize> {
    let varies = |line: &str| {
        ["local", "ids.lane", "ids.subgroup", "reduce_lane", "writes_partial", "value_row"]
            .iter()
            .any(|v| line.contains(v))
    };
    let mut open: Vec<bool> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in wgsl.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        let inside = open.iter().any(|&v| v);
        if code.contains("workgroupBarrier") && inside {
            found.push(number + 1);
        }
        if code.contains("return")
            && inside
            && wgsl.lines().skip(number).any(|l| l.contains("workgroupBarrier"))
        {
            found.push(number + 1);
        }
        let branch = code.contains("if ") || code.contains("for ");
        for c in code.chars() {
            match c {
                '{' => open.push(branch && varies(code)),
                '}' => {
                    open.pop();
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn barriers_stand_in_uniform_control_flow() {
    assert_eq!(non_uniform_barriers("fn main() {\nif ids.local == 0u {\nworkgroupBarrier();\n}\n}"), [3]);
    for shader in shaders() {
        let found = non_uniform_barriers(&shader.wgsl);
        assert!(found.is_empty(), "{}: lines {found:?} of\n{}", shader.label, shader.wgsl);
    }
}

/// Inputs of an HLSL entry point without a semantic, also as members of a struct. DXC refuses them.
///
/// naga replaces the builtins of subgroups, which have no semantic, only where they are direct arguments in WGSL.
fn without_semantic(hlsl: &str) -> Vec<&str> {
    let (_, entry) = hlsl.split_once("\nvoid main(").expect("an entry point");
    let (arguments, _) = entry.split_once(")\n{").expect("a body");
    let mut found = Vec::new();
    for argument in arguments.split(", ").filter(|it| !it.contains(" : SV_")) {
        let structure = argument.split(' ').next().unwrap_or_default();
        match hlsl.split_once(&format!("struct {structure} {{\n")) {
            Some((_, members)) => {
                let members = members.lines().take_while(|line| *line != "};");
                found.extend(members.map(str::trim).filter(|it| !it.contains(" : SV_")));
            }
            None => found.push(argument),
        }
    }
    found
}

#[test]
fn every_input_of_an_hlsl_entry_point_has_a_semantic() {
    let bad = "struct Ids {\n    uint local : SV_GroupIndex;\n    uint lane;\n};\n\n[numthreads(8, 1, 1)]\n\
               void main(Ids ids, uint3 group : SV_GroupID, uint size)\n{\n}\n";
    assert_eq!(without_semantic(bad), ["uint lane;", "uint size"]);
    for shader in shaders().iter().filter(|it| it.kernel.name() != "mat_mul_coop") {
        let text = shader.hlsl().unwrap_or_else(|e| panic!("{}: HLSL: {e}", shader.label));
        let found = without_semantic(&text);
        assert!(found.is_empty(), "{}: {found:?}", shader.label);
    }
}

/// The name that MSL gives to the index of the invocation, and the name by which it zeroes workgroup memory.
///
/// naga writes the zeroing with the name before clashes are resolved, if the builtin is a member of a struct in WGSL.
fn names_of_local_index(msl: &str) -> Option<(&str, &str)> {
    let (before, _) = msl.split_once(" [[thread_index_in_threadgroup]]")?;
    let body = msl.split_once("kernel void ")?.1;
    let zeroes = body.lines().find_map(|line| line.strip_prefix("    if (")?.strip_suffix(" == 0u) {"))?;
    Some((before.rsplit(' ').next()?, zeroes))
}

/// Rounding a product before it is added takes two instructions in place of one.
#[test]
fn attention_of_gpus_fuses_every_multiply_add() {
    let of_gpus: Vec<&Shader> = shaders().iter().filter(|it| it.label.contains("loops: Unrolled")).collect();
    assert!(of_gpus.iter().any(|it| it.kernel.name() == "attention"));
    for shader in of_gpus {
        let text = shader.msl().unwrap_or_else(|e| panic!("{}: MSL: {e}", shader.label));
        assert!(!text.contains("metal::dot(") && text.contains("metal::fma("), "{}:\n{text}", shader.label);
    }
}

/// A table is filled in front of a barrier, which all invocations pass before the first lookup.
#[test]
fn tables_of_levels_are_in_workgroup_memory() {
    let with_table = |it: &&Shader| it.label.contains("table: true") || it.label.contains("tables: [true");
    let with_tables: Vec<&Shader> = shaders().iter().filter(with_table).collect();
    for name in ["mat_mul", "mat_mul_coop", "mat_vec", "mat_vec_dual", "mat_vec_id"] {
        assert!(with_tables.iter().any(|it| it.kernel.name() == name), "{name} has no table");
    }
    for shader in with_tables {
        let (_, entry) = shader.wgsl.split_once("fn main(").expect("an entry point");
        let filled = entry.find("_fill_table(local);").unwrap_or_else(|| panic!("{}", shader.label));
        let barrier = filled + entry[filled..].find("workgroupBarrier();").expect("a barrier");
        let called = entry.find("invocation(").or(entry.find("weights_unpack(")).expect("a lookup");
        assert!(barrier < called, "{}", shader.label);
    }
}

#[test]
fn every_variant_translates_to_msl_and_spirv() {
    let clash = "[[max]] kernel void main_(\n  uint local_2 [[thread_index_in_threadgroup]]\n) {\n    if (local == 0u) {\n";
    assert_eq!(names_of_local_index(clash), Some(("local_2", "local")));
    for shader in shaders() {
        let text = shader.msl().unwrap_or_else(|e| panic!("{}: MSL: {e}", shader.label));
        assert!(text.contains("kernel void"), "{}", shader.label);
        if shader.workgroup_bytes() > 0 {
            let names = names_of_local_index(&text);
            let (index, zeroes) =
                names.unwrap_or_else(|| panic!("{}: workgroup memory is not zeroed:\n{text}", shader.label));
            assert_eq!(index, zeroes, "{}", shader.label);
        }
        let words = shader.spirv().unwrap_or_else(|e| panic!("{}: SPIR-V: {e}", shader.label));
        assert_eq!(words[0], 0x0723_0203, "{}", shader.label);
    }
}
