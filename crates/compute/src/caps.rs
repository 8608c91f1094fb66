//! Capabilities of a device that the choice of a kernel variant depends on.

/// Capabilities and limits of an executor. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Smallest and largest subgroup size; `None` without subgroup operations.
    pub subgroup: Option<(u32, u32)>,
    /// 16-bit floats in shaders (`enable f16`).
    pub f16: bool,
    /// Sizes of the square cooperative matrices of f16 with f32 accumulation, largest first.
    pub cooperative: &'static [u32],
    /// Largest storage binding.
    pub max_binding: u64,
    /// Largest buffer.
    pub max_buffer: u64,
    /// Largest texture of [`TEXTURE_WIDTH`](crate::TEXTURE_WIDTH) vec4s per line.
    pub max_texture: u64,
    /// Workgroup memory.
    pub max_workgroup_memory: u32,
    /// Invocations per workgroup.
    pub max_invocations: u32,
    /// Workgroups per grid dimension.
    pub max_groups: u32,
    /// Storage bindings per shader stage.
    pub max_storage_buffers: u32,
    /// Bytes of immediate data.
    pub max_immediates: u32,
    /// A software adapter, where a barrier or workgroup memory costs more than another read of memory.
    pub software: bool,
}

impl Caps {
    /// Maximum bytes of a binding in a texture, or in a buffer.
    #[must_use]
    pub fn largest(&self, texture: bool) -> u64 {
        if texture { self.max_texture } else { self.max_binding.min(self.max_buffer) }
    }

    /// WebGPU's default limits, plus the 128 bytes of immediates that Vulkan guarantees.
    #[must_use]
    pub const fn webgpu() -> Self {
        Self {
            subgroup: None,
            f16: false,
            cooperative: &[],
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_texture: 128 << 20,
            max_workgroup_memory: 16 << 10,
            max_invocations: 256,
            max_groups: 65_535,
            max_storage_buffers: 8,
            max_immediates: 128,
            software: false,
        }
    }

    /// Every capability that a variant uses, within WebGPU's default sizes. Tests enumerate all variants with it.
    #[must_use]
    pub const fn everything() -> Self {
        Self { subgroup: Some((8, 64)), f16: true, cooperative: &[16, 8], ..Self::webgpu() }
    }
}
