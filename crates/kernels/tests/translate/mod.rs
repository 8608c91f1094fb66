//! A kernel variant as a naga module, and its translations. Shared by the tests and an example.

use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module};
use ridgeline_compute::{Access, AnyKernel, Caps, Linker};

/// A rendered variant that passed naga's validation.
pub(crate) struct Shader {
    pub(crate) kernel: AnyKernel,
    pub(crate) label: String,
    pub(crate) wgsl: String,
    pub(crate) module: Module,
    pub(crate) info: ModuleInfo,
}

/// Every capability, and the 32 KiB of workgroup memory of Metal.
pub(crate) fn roomy() -> Caps {
    Caps { max_workgroup_memory: 32 << 10, ..Caps::everything() }
}

impl Shader {
    /// Renders, parses and validates.
    pub(crate) fn new(linker: &Linker, kernel: AnyKernel) -> Result<Self, String> {
        let rendered = linker.render(&*kernel).map_err(|e| e.to_string())?;
        let (label, wgsl) = (rendered.label, rendered.wgsl);
        let module = naga::front::wgsl::parse_str(&wgsl)
            .map_err(|e| format!("{label}: {}\n{wgsl}", e.emit_to_string(&wgsl)))?;
        let capabilities = Capabilities::SUBGROUP
            | Capabilities::SHADER_FLOAT16
            | Capabilities::SHADER_FLOAT16_IN_FLOAT32
            | Capabilities::COOPERATIVE_MATRIX
            | Capabilities::IMMEDIATES;
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        validator.subgroup_stages(ShaderStages::COMPUTE);
        validator.subgroup_operations(SubgroupOperationSet::all());
        let info =
            validator.validate(&module).map_err(|e| format!("{label}: {}", e.emit_to_string(&wgsl)))?;
        Ok(Self { kernel, label, wgsl, module, info })
    }

    /// Bytes of the workgroup variables that the entry point uses.
    pub(crate) fn workgroup_bytes(&self) -> u32 {
        let info = self.info.get_entry_point(0);
        let used =
            self.module.global_variables.iter().filter(|(handle, global)| {
                global.space == AddressSpace::WorkGroup && !info[*handle].is_empty()
            });
        used.map(|(_, global)| self.module.types[global.ty].inner.size(self.module.to_ctx())).sum()
    }

    /// Translates to MSL, the shading language of Metal.
    pub(crate) fn msl(&self) -> Result<String, msl::Error> {
        let mut resources = msl::EntryPointResources { immediates_buffer: Some(20), ..Default::default() };
        resources.sizes_buffer = Some(21);
        for (index, binding) in (0..).zip(self.kernel.bindings()) {
            let index_u8 = Some(u8::try_from(index).expect("a kernel has at most 8 bindings"));
            let target = if self.kernel.in_texture(binding) {
                msl::BindTarget {
                    texture: index_u8,
                    mutable: binding.access != Access::Read,
                    ..Default::default()
                }
            } else {
                msl::BindTarget {
                    buffer: index_u8,
                    mutable: binding.access != Access::Read,
                    ..Default::default()
                }
            };
            resources.resources.insert(naga::ResourceBinding { group: 0, binding: index }, target);
        }
        let options = msl::Options {
            lang_version: (3, 0),
            per_entry_point_map: [("main".to_owned(), resources)].into(),
            fake_missing_bindings: false,
            ..Default::default()
        };
        let pipeline = msl::PipelineOptions::default();
        Ok(msl::write_string(&self.module, &self.info, &options, &pipeline)?.0)
    }

    /// Translates to HLSL of shader model 6.4, for DX12 with the compiler DXC. naga has no cooperative matrices there.
    pub(crate) fn hlsl(&self) -> Result<String, hlsl::Error> {
        let target = |register| hlsl::BindTarget { register, ..Default::default() };
        let bindings = (0..).zip(self.kernel.bindings());
        let options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_4,
            binding_map: bindings
                .map(|(binding, _)| (naga::ResourceBinding { group: 0, binding }, target(binding)))
                .collect(),
            fake_missing_bindings: false,
            special_constants_binding: Some(target(20)),
            immediates_target: Some(target(21)),
            ..Default::default()
        };
        let pipeline = hlsl::PipelineOptions::default();
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &pipeline).write(&self.module, &self.info, None)?;
        Ok(text)
    }

    /// Translates to SPIR-V words for Vulkan.
    pub(crate) fn spirv(&self) -> Result<Vec<u32>, spv::Error> {
        let options = spv::Options { lang_version: (1, 5), ..Default::default() };
        spv::write_vec(&self.module, &self.info, &options, None)
    }
}
