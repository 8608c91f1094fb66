//! Every variant of every kernel renders, validates in naga and translates to MSL and SPIR-V. It keeps WebGPU's default
//! limits, and its parameters and bindings match the Rust declaration. Needs no GPU.

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
/// `ids.local`, lanes and subgroup numbers. naga accepts such barriers, browsers and hardware do not.
fn non_uniform_barriers(wgsl: &str) -> Vec<usize> {
    let varies = |line: &str| {
        ["ids.local", "ids.lane", "ids.subgroup", "reduce_lane", "writes_partial", "value_row"]
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

#[test]
fn every_variant_translates_to_msl_and_spirv() {
    for shader in shaders() {
        let text = shader.msl().unwrap_or_else(|e| panic!("{}: MSL: {e}", shader.label));
        assert!(text.contains("kernel void"), "{}", shader.label);
        let words = shader.spirv().unwrap_or_else(|e| panic!("{}: SPIR-V: {e}", shader.label));
        assert_eq!(words[0], 0x0723_0203, "{}", shader.label);
    }
}
