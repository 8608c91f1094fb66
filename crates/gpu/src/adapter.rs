//! Adapters as plain data, and the choice between them.

use crate::{Error, apple};
use serde::{Deserialize, Serialize};

/// The type of an adapter, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the host's memory.
    Integrated,
    /// A GPU shared between virtual machines.
    Virtual,
    /// The driver reports no type.
    Other,
    /// A software implementation on the CPU.
    Software,
}

/// Optional features that this crate uses or records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Features {
    /// 16-bit floats in shaders.
    pub f16: bool,
    /// 16-bit integers in shaders.
    pub i16: bool,
    /// Subgroup operations.
    pub subgroup: bool,
    /// Immediates (push constants). Required.
    pub immediates: bool,
    /// Timestamps at compute pass boundaries.
    pub timestamps: bool,
    /// Timestamps inside a compute pass.
    pub timestamps_inside_passes: bool,
    /// A cache of compiled pipelines that can be saved to a file.
    pub pipeline_cache: bool,
    /// Storage buffers that the host can map.
    pub mappable_primary_buffers: bool,
    /// Cooperative matrix operations of any size and type.
    pub cooperative_matrix: bool,
}

/// Limits that this crate uses or records. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AdapterLimits {
    /// Largest buffer.
    pub max_buffer: u64,
    /// Largest storage binding.
    pub max_binding: u64,
    /// Maximum width and height of a texture.
    #[serde(default)]
    pub max_texture_side: u32,
    /// Storage bindings per shader stage.
    pub max_storage_buffers: u32,
    /// Workgroup memory.
    pub max_workgroup_memory: u32,
    /// Invocations per workgroup.
    pub max_invocations: u32,
    /// Invocations along the first dimension of a workgroup.
    pub max_workgroup_x: u32,
    /// Workgroups per grid dimension.
    pub max_groups: u32,
    /// Bytes of immediates.
    pub max_immediates: u32,
    /// Alignment of storage binding offsets.
    pub storage_alignment: u32,
    /// Size of the largest square cooperative matrices of f16 with f32 accumulation, or 0 without any.
    #[serde(default)]
    pub cooperative_edge: u32,
}

/// An adapter, with everything that a result's provenance records about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AdapterInfo {
    /// The device's name.
    pub name: String,
    /// Vendor id, usually PCI's.
    pub vendor: u32,
    /// Device id, usually PCI's.
    pub device: u32,
    /// Its type.
    pub kind: DeviceKind,
    /// The driver's name.
    pub driver: String,
    /// The driver's version and build. On Metal, the build of macOS and the number of GPU cores.
    pub driver_info: String,
    /// `vulkan`, `metal`, `dx12`, `gl` or `noop`.
    pub backend: String,
    /// PCI address, or empty if the backend does not report it.
    pub pci_bus: String,
    /// Smallest and largest subgroup size. For Apple GPUs it is always 32, because Metal does not report it.
    pub subgroup: (u32, u32),
    /// Its optional features.
    pub features: Features,
    /// Its limits.
    pub limits: AdapterLimits,
}

impl AdapterInfo {
    fn new(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let apple = info.backend == wgpu::Backend::Metal && info.name.starts_with("Apple");
        Self {
            name: info.name,
            vendor: info.vendor,
            device: info.device,
            kind: kind(info.device_type),
            driver: info.driver,
            driver_info: match info.backend {
                wgpu::Backend::Metal => apple::driver_info(),
                _ => info.driver_info,
            },
            backend: info.backend.to_str().to_owned(),
            pci_bus: info.device_pci_bus_id,
            subgroup: if apple { (32, 32) } else { (info.subgroup_min_size, info.subgroup_max_size) },
            features: features(adapter.features()),
            limits: AdapterLimits {
                cooperative_edge: cooperative_edge(adapter),
                ..limits(&adapter.limits())
            },
        }
    }

    /// Whether the name, driver or backend contains `text`, ignoring case.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        [&self.name, &self.driver, &self.backend].iter().any(|s| s.to_lowercase().contains(&text))
    }

    /// The sort key, smallest for the best adapter: by kind, then Vulkan and Metal before DX12.
    fn rank(&self) -> (DeviceKind, u8) {
        let backend = match self.backend.as_str() {
            "vulkan" | "metal" => 0,
            "dx12" => 1,
            _ => 2,
        };
        (self.kind, backend)
    }
}

const fn kind(device_type: wgpu::DeviceType) -> DeviceKind {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
        wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
        wgpu::DeviceType::Cpu => DeviceKind::Software,
        wgpu::DeviceType::Other => DeviceKind::Other,
    }
}

fn features(offered: wgpu::Features) -> Features {
    let has = |feature| offered.contains(feature);
    Features {
        f16: has(wgpu::Features::SHADER_F16),
        i16: has(wgpu::Features::SHADER_I16),
        subgroup: has(wgpu::Features::SUBGROUP),
        immediates: has(wgpu::Features::IMMEDIATES),
        timestamps: has(wgpu::Features::TIMESTAMP_QUERY),
        timestamps_inside_passes: has(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES),
        pipeline_cache: has(wgpu::Features::PIPELINE_CACHE),
        mappable_primary_buffers: has(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS),
        cooperative_matrix: has(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
    }
}

fn limits(limits: &wgpu::Limits) -> AdapterLimits {
    AdapterLimits {
        max_buffer: limits.max_buffer_size,
        max_binding: limits.max_storage_buffer_binding_size,
        max_texture_side: limits.max_texture_dimension_2d,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        max_workgroup_x: limits.max_compute_workgroup_size_x,
        max_groups: limits.max_compute_workgroups_per_dimension,
        max_immediates: limits.max_immediate_size,
        storage_alignment: limits.min_storage_buffer_offset_alignment,
        cooperative_edge: 0,
    }
}

/// Size of the largest cooperative matrices that the kernels can use.
fn cooperative_edge(adapter: &wgpu::Adapter) -> u32 {
    // An adapter may list properties without having all features that the kernels need.
    let needed = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
        | wgpu::Features::SHADER_F16
        | wgpu::Features::SUBGROUP;
    if !adapter.features().contains(needed) {
        return 0;
    }
    let square = |it: &&wgpu::CooperativeMatrixProperties| it.m_size == it.n_size && it.n_size == it.k_size;
    let mixed = |it: &&wgpu::CooperativeMatrixProperties| {
        it.ab_type == wgpu::CooperativeScalarType::F16 && it.cr_type == wgpu::CooperativeScalarType::F32
    };
    let offered = adapter.cooperative_matrix_properties();
    offered.iter().filter(square).filter(mixed).map(|it| it.m_size).max().unwrap_or(0)
}

/// Which adapter to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The first of the list that [`adapters`] returns: discrete before integrated before virtual before software.
    #[default]
    Best,
    /// The best adapter whose name, driver or backend contains the text, ignoring case.
    ///
    /// OpenGL adapters can be chosen only this way, because they list a device a second time.
    Named(String),
    /// The adapter at this index of the list that [`adapters`] returns.
    Index(usize),
}

/// Every Vulkan, Metal and DX12 adapter of this machine, best first.
#[must_use]
pub fn adapters() -> Vec<AdapterInfo> {
    list(native(), false).into_iter().map(|(info, _)| info).collect()
}

/// The backends that [`adapters`] lists.
fn native() -> wgpu::Backends {
    wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12
}

/// Adapters of `backends`, best first. Equals keep the driver's order. Environment variables are ignored.
fn list(backends: wgpu::Backends, validation: bool) -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let flags = if validation { wgpu::InstanceFlags::debugging() } else { wgpu::InstanceFlags::empty() };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        flags,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    sorted(&instance, backends)
}

fn sorted(instance: &wgpu::Instance, backends: wgpu::Backends) -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let found = pollster::block_on(instance.enumerate_adapters(backends));
    let mut found: Vec<_> = found.into_iter().map(|a| (AdapterInfo::new(&a), a)).collect();
    found.sort_by_key(|(info, _)| info.rank());
    found
}

/// Finds the chosen adapter.
pub(crate) fn choose(
    choice: &AdapterChoice,
    validation: bool,
) -> Result<(AdapterInfo, wgpu::Adapter), Error> {
    let mut found = list(native(), validation);
    let index = match choice {
        AdapterChoice::Best => 0,
        AdapterChoice::Index(index) => *index,
        AdapterChoice::Named(text) => {
            if !found.iter().any(|(info, _)| info.matches(text)) {
                found.extend(list(wgpu::Backends::GL, validation));
            }
            found.iter().position(|(info, _)| info.matches(text)).unwrap_or(usize::MAX)
        }
    };
    if found.is_empty() {
        return Err(Error::NoAdapter);
    }
    let seen = || found.iter().map(|(info, _)| info.clone()).collect();
    let Some((info, _)) = found.get(index) else {
        let wanted = match choice {
            AdapterChoice::Named(text) => text.clone(),
            _ => format!("adapter {index}"),
        };
        return Err(Error::NoMatch { wanted, seen: seen() });
    };
    if !info.features.immediates {
        return Err(Error::MissingFeature {
            adapter: info.name.clone(),
            feature: "IMMEDIATES",
            seen: seen(),
        });
    }
    Ok(found.swap_remove(index))
}

/// The adapter of wgpu's noop backend, with WebGPU's default limits and large buffers.
pub(crate) fn noop() -> Option<(AdapterInfo, wgpu::Adapter)> {
    let limits = wgpu::Limits {
        max_immediate_size: 128,
        max_buffer_size: 1 << 40,
        max_storage_buffer_binding_size: 1 << 40,
        max_compute_workgroup_storage_size: 32 << 10,
        ..wgpu::Limits::default()
    };
    let options = wgpu::NoopBackendOptions {
        limits: Some(limits),
        subgroup_min_size: Some(32),
        subgroup_max_size: Some(32),
        ..wgpu::NoopBackendOptions::enabled()
    };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::NOOP,
        flags: wgpu::InstanceFlags::empty(),
        backend_options: wgpu::BackendOptions { noop: options, ..wgpu::BackendOptions::default() },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    sorted(&instance, wgpu::Backends::NOOP).pop()
}

#[cfg(test)]
mod tests {
    use super::{AdapterInfo, AdapterLimits, DeviceKind, Features};

    fn adapter(name: &str, kind: DeviceKind, backend: &str) -> AdapterInfo {
        AdapterInfo {
            name: name.to_owned(),
            vendor: 1,
            device: 2,
            kind,
            driver: "d".to_owned(),
            driver_info: String::new(),
            backend: backend.to_owned(),
            pci_bus: String::new(),
            subgroup: (8, 8),
            features: Features::default(),
            limits: AdapterLimits {
                max_buffer: 1,
                max_binding: 1,
                max_texture_side: 8192,
                max_storage_buffers: 8,
                max_workgroup_memory: 1,
                max_invocations: 1,
                max_workgroup_x: 1,
                max_groups: 1,
                max_immediates: 1,
                storage_alignment: 1,
                cooperative_edge: 0,
            },
        }
    }

    #[test]
    fn discrete_comes_first_and_software_last() {
        let mut all = [
            adapter("lavapipe", DeviceKind::Software, "vulkan"),
            adapter("igpu", DeviceKind::Integrated, "vulkan"),
            adapter("gpu", DeviceKind::Discrete, "dx12"),
            adapter("gpu", DeviceKind::Discrete, "vulkan"),
            adapter("passthrough", DeviceKind::Virtual, "vulkan"),
        ];
        all.sort_by_key(AdapterInfo::rank);
        let order: Vec<_> = all.iter().map(|a| (a.name.as_str(), a.backend.as_str())).collect();
        let best = [
            ("gpu", "vulkan"),
            ("gpu", "dx12"),
            ("igpu", "vulkan"),
            ("passthrough", "vulkan"),
            ("lavapipe", "vulkan"),
        ];
        assert_eq!(order, best);
    }

    #[test]
    fn names_match_in_any_case_and_by_backend() {
        let gpu = adapter("NVIDIA H200", DeviceKind::Discrete, "vulkan");
        assert!(gpu.matches("nvidia") && gpu.matches("Vulkan") && !gpu.matches("Radeon"));
    }

    #[test]
    fn adapters_survive_serialisation() {
        let gpu = adapter("M4", DeviceKind::Integrated, "metal");
        let text = serde_json::to_string(&gpu).expect("plain data");
        assert!(text.contains("\"kind\":\"integrated\""), "{text}");
        assert_eq!(serde_json::from_str::<AdapterInfo>(&text).expect("what was written"), gpu);
    }
}
