//! Opens the device of a command, and installs a software adapter where there is no adapter.
//!
//! A bare Debian or Ubuntu machine has no Vulkan driver. If the user is root (in a container or CI job), two packages
//! bring a software adapter; `--no-install` forbids installing them. wgpu searches for the Vulkan loader on every
//! use, so this process can use the new adapter.

use crate::globals::{Globals, UsageError};
use crate::output;
use ridgeline_gpu::{KnownGpu, known_gpus, remedies};
use ridgeline_measure::Device;
use std::path::Path;
use std::process::{Command, Stdio};

/// Packages of Mesa's software adapter (lavapipe).
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// No adapter was found; the message contains the remedy.
#[derive(Debug, thiserror::Error)]
#[error(
    "no Vulkan, Metal or DX12 adapter found; try: {remedy} (or --device cpu: correct but slow reference kernels)"
)]
pub struct NoDevice {
    remedy: String,
}

/// How the user gets an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// This process can install the packages.
    Install,
    /// An administrator can install the packages.
    Ask,
    /// The system is not Debian-based: install a driver.
    Driver,
}

impl Remedy {
    /// The remedy on this machine.
    #[must_use]
    pub fn here() -> Self {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::on(&release, is_root())
    }

    fn on(os_release: &str, root: bool) -> Self {
        let ids =
            os_release.lines().filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
        let debian =
            ids.flat_map(|ids| ids.trim_matches('"').split(' ')).any(|id| id == "debian" || id == "ubuntu");
        match (debian, root) {
            (true, true) => Self::Install,
            (true, false) => Self::Ask,
            (false, _) => Self::Driver,
        }
    }

    /// The command to run, or an instruction.
    #[must_use]
    pub fn text(self) -> String {
        let install = format!("apt-get update && apt-get install -y {}", PACKAGES.join(" "));
        match self {
            Self::Install => install,
            Self::Ask => format!("sudo sh -c '{install}'"),
            Self::Driver => {
                "install the GPU's Vulkan driver, or Mesa's lavapipe for a software adapter".to_owned()
            }
        }
    }
}

/// Installs a software adapter if there is no adapter and the process is allowed to.
///
/// # Errors
/// [`NoDevice`] if there is still no adapter.
pub fn ensure_adapter(globals: &Globals) -> Result<(), NoDevice> {
    if globals.device.as_deref() == Some("cpu") || !ridgeline_gpu::adapters().is_empty() {
        return Ok(());
    }
    let remedy = Remedy::here();
    // A software adapter cannot replace an adapter that --device names.
    if remedy == Remedy::Install && !globals.no_install && globals.device.is_none() {
        output::note(&format!("no GPU adapter found; installing a software one: {}", PACKAGES.join(" ")));
        let installed =
            apt(&["update"]) && apt(&[&["install", "-y", "--no-install-recommends"], &PACKAGES[..]].concat());
        if installed && !ridgeline_gpu::adapters().is_empty() {
            return Ok(());
        }
        output::note("the installation did not provide an adapter");
    }
    Err(NoDevice { remedy: with_drivers(remedy.text(), &known_gpus(Path::new("/"))) })
}

/// The remedy for a machine with these GPUs: their own drivers too.
fn with_drivers(remedy: String, gpus: &[KnownGpu]) -> String {
    if gpus.is_empty() { remedy } else { format!("{remedy}; for the GPU: {}", remedies(gpus)) }
}

/// Fails where `--device` lists several devices, as llama-bench takes them: `a,b` one after the other, `a/b` together.
///
/// # Errors
/// [`UsageError`] with the command lines to run in place.
pub(crate) fn require_one(globals: &Globals) -> Result<(), UsageError> {
    let Some(name) = globals.device.as_deref().filter(|it| it.contains([',', '/'])) else { return Ok(()) };
    one_of(name, |part| part == "cpu" || ridgeline_gpu::adapters().iter().any(|it| it.matches(part)))
}

/// Fails where `name` is a list of devices that there are. A name may have a comma or a slash, too.
fn one_of(name: &str, exists: impl Fn(&str) -> bool) -> Result<(), UsageError> {
    let parts: Vec<&str> = name.split([',', '/']).map(str::trim).filter(|it| !it.is_empty()).collect();
    if exists(name) || parts.len() < 2 || !parts.iter().any(|it| exists(it)) {
        return Ok(());
    }
    let each: Vec<String> = parts.iter().map(|it| format!("-dev {it}")).collect();
    let text = format!(
        "-dev {name} lists {} devices: a model runs on one device, and a command measures one; run it with {}",
        parts.len(),
        each.join(", then with ")
    );
    Err(UsageError(text))
}

/// Opens the device that `--device` names, after [`ensure_adapter`].
///
/// # Errors
/// There is no such device, or no adapter.
pub fn open(globals: &Globals) -> anyhow::Result<Device> {
    ensure_adapter(globals)?;
    Ok(Device::open(globals.device.as_deref())?)
}

/// Runs apt-get with its output on stderr, because stdout is for data.
fn apt(arguments: &[&str]) -> bool {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status();
    status.is_ok_and(|it| it.success())
}

/// Whether the process runs as root: on Linux its user owns `/proc/self`.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// There is no apt-get on this system.
#[cfg(not(unix))]
const fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::{Remedy, one_of, with_drivers};
    use ridgeline_gpu::{KnownGpu, Vendor};

    #[test]
    fn a_gpu_without_a_driver_adds_its_remedy() {
        assert_eq!(with_drivers("apt".to_owned(), &[]), "apt");
        let gpu = KnownGpu { vendor: Vendor::Amd, name: "an AMD GPU".into(), node: "/dev/kfd".into() };
        let text = with_drivers("apt".to_owned(), &[gpu]);
        assert!(text.starts_with("apt; ") && text.contains("/dev/dri"), "{text}");
    }

    #[test]
    fn a_list_of_devices_is_refused() {
        let adapters = ["llvmpipe (llvm 19, 256 bits)", "swiftshader", "a/b gpu"];
        let one = |name: &str| one_of(name, |part| adapters.iter().any(|it| it.contains(part)));
        for name in ["llvmpipe", "llvm 19, 256", "a/b", "missing,other", ",", "llvmpipe,"] {
            assert!(one(name).is_ok(), "{name}");
        }
        for name in ["llvmpipe,swiftshader", "llvmpipe/swiftshader", "swiftshader, a/b gpu"] {
            let error = one(name).expect_err(name).to_string();
            assert!(error.contains("-dev swiftshader") && error.contains("one device"), "{error}");
        }
    }

    #[test]
    fn the_remedy_depends_on_system_and_user() {
        assert_eq!(Remedy::on("NAME=x\nID=debian\n", true), Remedy::Install);
        assert_eq!(Remedy::on("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", false), Remedy::Ask);
        assert_eq!(Remedy::on("ID=ubuntu-like\n", true), Remedy::Driver);
        assert_eq!(Remedy::on("", false), Remedy::Driver);
        assert!(
            Remedy::Ask.text().starts_with("sudo") && Remedy::Install.text().contains("mesa-vulkan-drivers")
        );
    }
}
