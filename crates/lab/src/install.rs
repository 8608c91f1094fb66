//! Opening the device a command runs on, and what to do where a machine has none.
//!
//! A bare Debian or Ubuntu machine has no Vulkan driver at all. Where the user is root (a container, a CI job), the
//! software adapter is two packages away, and they are installed unless `--no-install` forbids it. The Vulkan loader
//! is looked for anew each time, so this process can use what it has installed.

use crate::globals::Globals;
use crate::output;
use ridgeline_measure::Device;
use std::process::{Command, Stdio};

/// The packages that bring a software adapter.
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// There is no adapter, and here is what helps.
#[derive(Debug, thiserror::Error)]
#[error(
    "no Vulkan, Metal or DX12 adapter found; try: {remedy} (or --device cpu: the CPU twins, right but slow)"
)]
pub struct NoDevice {
    remedy: String,
}

/// What helps where there is no adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Packages, and the right to install them.
    Install,
    /// Packages that somebody else has to install.
    Ask,
    /// A driver, from wherever this system gets drivers.
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

    /// The one command, or the one thing to do.
    #[must_use]
    pub fn text(self) -> String {
        let install = format!("apt-get update && apt-get install -y {}", PACKAGES.join(" "));
        match self {
            Self::Install => install,
            Self::Ask => format!("sudo sh -c '{install}'"),
            Self::Driver => {
                "install a Vulkan driver for this GPU, or a software one (Mesa's lavapipe)".to_owned()
            }
        }
    }
}

/// Where there is no adapter and it may be done, installs a software one.
///
/// # Errors
/// [`NoDevice`] where there is none afterwards either.
pub fn ensure_adapter(globals: &Globals) -> Result<(), NoDevice> {
    if globals.device.as_deref() == Some("cpu") || !ridgeline_gpu::adapters().is_empty() {
        return Ok(());
    }
    let remedy = Remedy::here();
    // Whoever names an adapter means that one, and a software one is no substitute.
    if remedy == Remedy::Install && !globals.no_install && globals.device.is_none() {
        output::note(&format!("no GPU adapter here; installing a software one: {}", PACKAGES.join(" ")));
        let installed =
            apt(&["update"]) && apt(&[&["install", "-y", "--no-install-recommends"], &PACKAGES[..]].concat());
        if installed && !ridgeline_gpu::adapters().is_empty() {
            return Ok(());
        }
        output::note("that did not give an adapter");
    }
    Err(NoDevice { remedy: remedy.text() })
}

/// Opens the device that `--device` names, after [`ensure_adapter`].
///
/// # Errors
/// No such device, or none at all.
pub fn open(globals: &Globals) -> anyhow::Result<Device> {
    ensure_adapter(globals)?;
    Ok(Device::open(globals.device.as_deref())?)
}

/// Runs apt-get; what it says goes to stderr, because stdout is for data.
fn apt(arguments: &[&str]) -> bool {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status();
    status.is_ok_and(|it| it.success())
}

/// Whether this process may install packages: on Linux, the owner of its own entry in `/proc` is its user.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// Whether this process may install packages: there is no apt-get here.
#[cfg(not(unix))]
const fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::Remedy;

    #[test]
    fn the_remedy_fits_the_system_and_the_user() {
        assert_eq!(Remedy::on("NAME=x\nID=debian\n", true), Remedy::Install);
        assert_eq!(Remedy::on("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", false), Remedy::Ask);
        assert_eq!(Remedy::on("ID=ubuntu-like\n", true), Remedy::Driver);
        assert_eq!(Remedy::on("", false), Remedy::Driver);
        assert!(
            Remedy::Ask.text().starts_with("sudo") && Remedy::Install.text().contains("mesa-vulkan-drivers")
        );
    }
}
