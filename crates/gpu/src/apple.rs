//! What wgpu does not report of Apple's GPUs: the build of macOS, which has the driver, and the number of GPU cores.
//!
//! Chips of one name have different numbers of cores. So tuned kernels of one may be slow on another.

#[cfg(any(test, target_os = "macos"))]
use std::fmt::Write;

/// The driver's version of this machine, which is read once. Empty outside macOS.
pub(crate) fn driver_info() -> String {
    #[cfg(target_os = "macos")]
    static INFO: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let version = std::fs::read_to_string("/System/Library/CoreServices/SystemVersion.plist");
        let gpus = std::process::Command::new("/usr/sbin/ioreg")
            .args(["-r", "-d", "1", "-c", "AGXAccelerator"])
            .output();
        let gpus = gpus.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        describe(&version.unwrap_or_default(), &gpus.unwrap_or_default())
    });
    #[cfg(target_os = "macos")]
    return INFO.clone();
    #[cfg(not(target_os = "macos"))]
    String::new()
}

/// The build in a `SystemVersion.plist`, and the number of cores in the output of `ioreg`. What is missing is left out.
#[cfg(any(test, target_os = "macos"))]
fn describe(version: &str, gpus: &str) -> String {
    let build = version.split_once("<key>ProductBuildVersion</key>").and_then(|(_, rest)| {
        let (_, rest) = rest.split_once("<string>")?;
        rest.split_once("</string>").map(|(build, _)| build.trim())
    });
    let cores = gpus.lines().find_map(|line| line.trim().strip_prefix("\"gpu-core-count\" = "));
    let mut text = build.map(|build| format!("macOS {build}")).unwrap_or_default();
    if let Some(cores) = cores.and_then(|cores| cores.trim().parse::<u32>().ok()) {
        let _ = write!(text, "{}{cores} GPU cores", if text.is_empty() { "" } else { ", " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{describe, driver_info};

    #[test]
    fn build_and_cores_are_found() {
        let version = "<dict>\n\t<key>ProductBuildVersion</key>\n\t<string>24F74</string>\n\t<key>ProductName</key>\n\
                       \t<string>macOS</string>\n</dict>\n";
        let gpus = "+-o AGXAcceleratorG16X  <class AGXAcceleratorG16X>\n    {\n      \"gpu-core-count\" = 20\n    }\n";
        assert_eq!(describe(version, gpus), "macOS 24F74, 20 GPU cores");
        assert_eq!(describe(version, ""), "macOS 24F74");
        assert_eq!(describe("", gpus), "20 GPU cores");
        assert_eq!(describe("<key>ProductBuildVersion</key>", "\"gpu-core-count\" = x"), "");
    }

    #[test]
    fn other_systems_report_nothing_more() {
        assert!(cfg!(target_os = "macos") || driver_info().is_empty());
    }
}
