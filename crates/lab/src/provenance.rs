//! Provenance of a measurement: device, computer, build and time. Unknown values are left out.

use ridgeline_compute::Executor;
use ridgeline_experiment::record::{Build, MachineId, TUNED, utc};
use ridgeline_gpu::{AdapterInfo, AdapterLimits, Features};
use ridgeline_measure::Device;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The device and its computer.
#[must_use]
pub fn machine_id(device: &mut Device) -> MachineId {
    let caps = device.caps().clone();
    let computer = computer();
    match device.gpu() {
        Some(gpu) => of_adapter(gpu.info(), computer),
        None => MachineId {
            adapter: "CPU twins".to_owned(),
            driver: "none".to_owned(),
            backend: "cpu".to_owned(),
            device_type: "software".to_owned(),
            limits: BTreeMap::from([("max_binding".to_owned(), caps.max_binding)]),
            ..computer
        },
    }
}

/// The build of this program.
#[must_use]
pub fn build() -> Build {
    let changes = option_env!("RIDGELINE_GIT_CHANGES").map(|digest| format!("+dirty.{digest}"));
    let version = match env!("RIDGELINE_PROFILE") {
        "release" => format!("{}{}", env!("CARGO_PKG_VERSION"), changes.unwrap_or_default()),
        profile => format!("{} ({profile} build)", env!("CARGO_PKG_VERSION")),
    };
    let crates = env!("RIDGELINE_CRATES").split(';').filter_map(|c| c.split_once(' '));
    Build {
        git_rev: option_env!("RIDGELINE_GIT_REV").map(str::to_owned),
        dirty: option_env!("RIDGELINE_GIT_DIRTY").map(|d| d == "true"),
        rustc: env!("RIDGELINE_RUSTC").to_owned(),
        version,
        crates: crates.map(|(name, version)| (name.to_owned(), version.to_owned())).collect(),
    }
}

/// The build, whose version includes a digest of the tuned kernel choices for a device.
#[must_use]
pub fn build_for(device: &mut Device) -> Build {
    let mut build = build();
    if let Some(digest) = ridgeline_measure::tune::digest(&ridgeline_measure::tune::stored(device)) {
        build.version = format!("{}{TUNED}{digest}", build.version);
    }
    build
}

/// A unique identifier of this run: the time to the second, the process id, and the microseconds.
#[must_use]
pub fn run_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let stamp: String = utc(now.as_secs()).chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{stamp}-{}-{:06}", std::process::id(), now.subsec_micros())
}

/// The current time, UTC, RFC 3339.
#[must_use]
pub fn now_utc() -> String {
    utc(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// A device's name as a folder name: lower-case letters, digits and single dashes.
#[must_use]
pub fn slug(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = plain.split('-').filter(|w| !w.is_empty()).collect();
    if words.is_empty() { "device".to_owned() } else { words.join("-") }
}

/// The machine with the description of its adapter.
fn of_adapter(info: &AdapterInfo, computer: MachineId) -> MachineId {
    let driver = [info.driver.trim(), info.driver_info.trim()];
    MachineId {
        adapter: info.name.clone(),
        driver: driver.into_iter().filter(|d| !d.is_empty()).collect::<Vec<_>>().join(" "),
        backend: info.backend.clone(),
        device_type: serde_json::to_value(info.kind)
            .ok()
            .and_then(|kind| kind.as_str().map(str::to_owned))
            .unwrap_or_default(),
        limits: limits(&info.limits),
        features: features(&info.features),
        ..computer
    }
}

/// The computer without a device.
fn computer() -> MachineId {
    let kinds = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kinds).ok();
    let cpu = system.as_ref().and_then(|s| s.cpus().first()).map(|c| c.brand().trim().to_owned());
    MachineId {
        os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
        cpu: cpu.filter(|c| !c.is_empty()).unwrap_or_else(System::cpu_arch),
        cores: std::thread::available_parallelism().map_or(0, |n| n.get() as u64),
        memory_bytes: system.map_or(0, |s| s.total_memory()),
        ..MachineId::default()
    }
}

fn limits(limits: &AdapterLimits) -> BTreeMap<String, u64> {
    let AdapterLimits {
        max_buffer,
        max_binding,
        max_texture_side,
        max_storage_buffers,
        max_workgroup_memory,
        max_invocations,
        max_workgroup_x,
        max_groups,
        max_immediates,
        storage_alignment,
        cooperative_edge,
    } = *limits;
    let pairs = [
        ("max_buffer", max_buffer),
        ("max_binding", max_binding),
        ("max_texture_side", max_texture_side.into()),
        ("max_storage_buffers", max_storage_buffers.into()),
        ("max_workgroup_memory", max_workgroup_memory.into()),
        ("max_invocations", max_invocations.into()),
        ("max_workgroup_x", max_workgroup_x.into()),
        ("max_groups", max_groups.into()),
        ("max_immediates", max_immediates.into()),
        ("storage_alignment", storage_alignment.into()),
        ("cooperative_edge", cooperative_edge.into()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Names of the features that the adapter has.
fn features(features: &Features) -> Vec<String> {
    let Features {
        f16,
        i16,
        subgroup,
        immediates,
        timestamps,
        timestamps_inside_passes,
        pipeline_cache,
        mappable_primary_buffers,
        cooperative_matrix,
    } = *features;
    let pairs = [
        ("f16", f16),
        ("i16", i16),
        ("subgroup", subgroup),
        ("immediates", immediates),
        ("timestamps", timestamps),
        ("timestamps_inside_passes", timestamps_inside_passes),
        ("pipeline_cache", pipeline_cache),
        ("mappable_primary_buffers", mappable_primary_buffers),
        ("cooperative_matrix", cooperative_matrix),
    ];
    pairs.into_iter().filter(|(_, available)| *available).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_safe_folder_name() {
        assert_eq!(slug("llvmpipe (LLVM 15.0.6, 256 bits)"), "llvmpipe-llvm-15-0-6-256-bits");
        assert_eq!(slug("Apple M3 Ultra"), "apple-m3-ultra");
        assert_eq!(slug("../.."), "device");
    }

    #[test]
    fn the_cpu_device_has_a_name_and_a_computer() {
        let mut device = Device::open(Some("cpu")).expect("the CPU device always opens");
        let id = machine_id(&mut device);
        assert_eq!((id.adapter.as_str(), id.backend.as_str()), ("CPU twins", "cpu"));
        assert!(id.cores > 0 && id.memory_bytes > 0 && !id.os.is_empty() && !id.cpu.is_empty(), "{id:?}");
        assert_eq!(id, machine_id(&mut device), "the identity is the same for every cell");
    }

    #[test]
    fn the_build_names_its_compiler_and_crates() {
        let program = build();
        assert!(program.rustc.starts_with("rustc "), "{}", program.rustc);
        for name in ["wgpu", "naga", "tokenizers", "gguf-rs"] {
            assert!(program.crates.contains_key(name), "{name} is missing from {:?}", program.crates);
        }
    }

    #[test]
    fn run_ids_differ() {
        let first = run_id();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_ne!(first, run_id());
        assert!(first.len() > 20 && first.starts_with("20") && now_utc().ends_with('Z'), "{first}");
    }
}
