//! GPUs that Linux knows, whether or not a Vulkan driver serves them.
//!
//! A container may have a GPU but no Vulkan driver, for example one for CUDA. The best adapter is then a software one, and
//! its times would pass for those of the GPU.

use crate::{AdapterInfo, DeviceKind, Error};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Who makes a GPU, as far as its device node tells. It decides the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// NVIDIA, with its own kernel driver.
    Nvidia,
    /// AMD.
    Amd,
    /// A GPU of Windows, in the Windows Subsystem for Linux.
    Wsl,
    /// Intel, Arm, Qualcomm and others, and NVIDIA with the driver nouveau: Mesa serves them.
    Mesa,
}

impl Vendor {
    /// How the user gets a Vulkan driver.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Nvidia => {
                "install NVIDIA's Vulkan driver of the kernel module's version (Debian: libnvidia-gl or \
                 nvidia-vulkan-icd), or start the container with NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility"
            }
            Self::Amd => {
                "install mesa-vulkan-drivers, give this user access to /dev/dri (group render), and pass /dev/dri \
                 to the container"
            }
            Self::Wsl => {
                "install mesa-vulkan-drivers with Dozen (Mesa 22.3 or later), or run on Windows itself"
            }
            Self::Mesa => "install mesa-vulkan-drivers and give this user access to /dev/dri (group render)",
        }
    }
}

/// A GPU with a device node. One GPU may have several nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownGpu {
    /// Its maker.
    pub vendor: Vendor,
    /// Its name, or that of its kernel driver.
    pub name: String,
    /// Its device node.
    pub node: PathBuf,
}

impl fmt::Display for KnownGpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.node.display())
    }
}

/// Kernel drivers of GPUs that have a Vulkan driver. Virtual GPUs (virtio-gpu, vmwgfx, QXL) and displays without 3D (ast,
/// mgag200, simpledrm) are not among them. A software adapter is right for these.
const RENDER_DRIVERS: [(&str, Vendor); 11] = [
    ("amdgpu", Vendor::Amd),
    ("nvidia", Vendor::Nvidia),
    ("nouveau", Vendor::Mesa),
    ("i915", Vendor::Mesa),
    ("xe", Vendor::Mesa),
    ("asahi", Vendor::Mesa),
    ("msm", Vendor::Mesa),
    ("panfrost", Vendor::Mesa),
    ("panthor", Vendor::Mesa),
    ("powervr", Vendor::Mesa),
    ("v3d", Vendor::Mesa),
];

/// The GPUs with a device node under `root`, which is `/` outside tests. Empty where there is no `/dev`, as on Windows.
///
/// A container may see the host's GPU in `/proc` and `/sys` without its node. Such a GPU does not count.
#[must_use]
pub fn known_gpus(root: &Path) -> Vec<KnownGpu> {
    let mut found = nvidia(root);
    let single = [("kfd", Vendor::Amd, "an AMD GPU"), ("dxg", Vendor::Wsl, "a GPU of Windows")];
    for (node, vendor, name) in single {
        if root.join("dev").join(node).exists() {
            found.push(KnownGpu { vendor, name: name.to_owned(), node: Path::new("/dev").join(node) });
        }
    }
    for node in names(&root.join("dev/dri")).into_iter().filter(|it| it.starts_with("renderD")) {
        let driver = fs::read_link(root.join("sys/class/drm").join(&node).join("device/driver"));
        let driver = driver.ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let known = RENDER_DRIVERS.iter().find(|(name, _)| Some(*name) == driver.as_deref());
        if let Some(&(name, vendor)) = known {
            let node = Path::new("/dev/dri").join(node);
            found.push(KnownGpu { vendor, name: format!("a GPU of the driver {name}"), node });
        }
    }
    found
}

/// GPUs of NVIDIA's own driver: `/dev/nvidia0` and so on, with the names that `/proc` has, in its order.
fn nvidia(root: &Path) -> Vec<KnownGpu> {
    let is_gpu = |name: &str| name.strip_prefix("nvidia").is_some_and(|n| n.parse::<u32>().is_ok());
    let folder = root.join("proc/driver/nvidia/gpus");
    let models: Vec<_> =
        names(&folder).iter().map(|gpu| model(&folder.join(gpu).join("information"))).collect();
    let nodes = names(&root.join("dev")).into_iter().filter(|name| is_gpu(name));
    let name = |i: usize| models.get(i).cloned().flatten().unwrap_or_else(|| "an NVIDIA GPU".to_owned());
    let gpu = |(i, node)| KnownGpu {
        vendor: Vendor::Nvidia,
        name: name(i),
        node: Path::new("/dev").join::<String>(node),
    };
    nodes.enumerate().map(gpu).collect()
}

/// The model in an `information` file of NVIDIA's driver.
fn model(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Model:")).map(|model| model.trim().to_owned())
}

/// The names in a folder, sorted. None if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|it| it.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Refuses a software adapter where there are GPUs: no driver serves them. For an adapter that nobody chose by name.
///
/// # Errors
/// [`Error::Undriven`], with the remedy.
pub fn require_driver(info: &AdapterInfo, gpus: Vec<KnownGpu>) -> Result<(), Error> {
    if info.kind != DeviceKind::Software || gpus.is_empty() {
        return Ok(());
    }
    Err(Error::Undriven { adapter: info.name.clone(), gpus })
}

/// The remedies for these GPUs, each once.
#[must_use]
pub fn remedies(gpus: &[KnownGpu]) -> String {
    let mut remedies: Vec<_> = gpus.iter().map(|gpu| gpu.vendor.remedy()).collect();
    remedies.dedup();
    remedies.join("; ")
}

#[cfg(all(test, unix))]
mod tests {
    use super::{KnownGpu, Vendor, known_gpus};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    /// A root folder with empty files.
    fn root(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            write(root.path(), file, "");
        }
        root
    }

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().expect("a parent")).expect("room");
        fs::write(file, text).expect("room");
    }

    /// A render node and its kernel driver.
    fn render_node(root: &Path, node: &str, driver: &str) {
        write(root, &format!("dev/dri/{node}"), "");
        let device = root.join("sys/class/drm").join(node).join("device");
        fs::create_dir_all(&device).expect("room");
        symlink(Path::new("../../bus/pci/drivers").join(driver), device.join("driver")).expect("room");
    }

    #[test]
    fn a_machine_without_gpus_has_none() {
        let empty = root(&["dev/null", "dev/kvm", "dev/vga_arbiter", "proc/driver/rtc", "dev/dri/card0"]);
        assert_eq!(known_gpus(empty.path()), []);
        assert_eq!(known_gpus(&empty.path().join("missing")), [], "no such root");
    }

    #[test]
    fn virtual_and_unknown_render_nodes_do_not_count() {
        let root = root(&["dev/dri/renderD130"]);
        render_node(root.path(), "renderD128", "virtio_gpu");
        render_node(root.path(), "renderD129", "vmwgfx");
        assert_eq!(known_gpus(root.path()), [], "nor renderD130, whose driver /sys does not show");
    }

    #[test]
    fn render_nodes_of_gpus_count() {
        let root = root(&[]);
        render_node(root.path(), "renderD129", "i915");
        render_node(root.path(), "renderD128", "amdgpu");
        let found = known_gpus(root.path());
        assert_eq!(found.iter().map(|it| it.vendor).collect::<Vec<_>>(), [Vendor::Amd, Vendor::Mesa]);
        assert_eq!(found[1].to_string(), "a GPU of the driver i915 (/dev/dri/renderD129)");
    }

    #[test]
    fn compute_nodes_count() {
        let root = root(&["dev/kfd", "dev/dxg"]);
        let found: Vec<_> = known_gpus(root.path()).into_iter().map(|it| (it.vendor, it.node)).collect();
        assert_eq!(
            found,
            [(Vendor::Amd, PathBuf::from("/dev/kfd")), (Vendor::Wsl, PathBuf::from("/dev/dxg"))]
        );
    }

    #[test]
    fn nvidia_gpus_have_nodes_and_names() {
        let root = root(&["dev/nvidiactl", "dev/nvidia-uvm", "dev/nvidia0", "dev/nvidia1"]);
        let information = "proc/driver/nvidia/gpus/0000:18:00.0/information";
        write(root.path(), information, "Model: \t\t NVIDIA H200\nIRQ:   \t\t 18\n");
        let gpu = |name: &str, node: &str| KnownGpu {
            vendor: Vendor::Nvidia,
            name: name.to_owned(),
            node: PathBuf::from(node),
        };
        let expected = [gpu("NVIDIA H200", "/dev/nvidia0"), gpu("an NVIDIA GPU", "/dev/nvidia1")];
        assert_eq!(known_gpus(root.path()), expected);
    }

    #[test]
    fn a_gpu_of_the_host_that_a_container_lacks_does_not_count() {
        let root = root(&["proc/driver/nvidia/gpus/0000:18:00.0/information", "dev/null"]);
        assert_eq!(known_gpus(root.path()), []);
    }

    #[test]
    fn each_remedy_is_given_once() {
        let root = root(&["dev/nvidia0", "dev/nvidia1"]);
        let text = super::remedies(&known_gpus(root.path()));
        assert_eq!(text.matches("NVIDIA_DRIVER_CAPABILITIES").count(), 1, "{text}");
    }
}
