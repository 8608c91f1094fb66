//! The `ridgeline` command.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    restart::with_settings();
    ridgeline_lab::cli::main(std::env::args_os())
}

/// Restarts this program with environment variables that libraries read only when they are loaded.
#[cfg(target_os = "linux")]
mod restart {
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::Command;

    /// glibc allocates huge pages. A software adapter allocates with glibc, and loads a model in half the time.
    const HUGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
    /// Turns off Mesa's device-select layer, which prints errors where there is no desktop.
    const NO_DESKTOP: (&str, &str) = ("NODEVICE_SELECT", "1");
    /// One of these is set on a desktop, or where the user selects an adapter through that layer.
    const DESKTOP: [&str; 5] =
        ["DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "MESA_VK_DEVICE_SELECT", "DRI_PRIME"];

    /// The environment that makes SwiftShader the driver, where `--device` asks for it.
    fn swiftshader() -> Option<[(&'static str, PathBuf); 2]> {
        let name = ridgeline_lab::cli::device(std::env::args_os())?;
        let settings =
            ridgeline_gpu::swiftshader().filter(|_| name.to_lowercase().contains("swiftshader"))?;
        // A user who set one of them chose a driver.
        let own = settings.iter().any(|(variable, _)| std::env::var_os(variable).is_some());
        (!own).then_some(settings)
    }

    /// Variables that are already set keep their values; if all are set, this does nothing.
    pub(crate) fn with_settings() {
        let set = |name: &str| std::env::var_os(name).is_some();
        let mut settings = vec![HUGE_PAGES];
        if !DESKTOP.into_iter().any(set) {
            settings.push(NO_DESKTOP);
        }
        let mut settings: Vec<_> = settings.into_iter().map(|(name, to)| (name, PathBuf::from(to))).collect();
        settings.extend(swiftshader().into_iter().flatten());
        settings.retain(|(name, _)| !set(name));
        if settings.is_empty() {
            return;
        }
        let mut arguments = std::env::args_os();
        let Ok(program) = std::env::current_exe() else { return };
        let mut command = Command::new(program);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        // `exec` returns only on failure. The program then runs without the settings.
        let _ = command.args(arguments).envs(settings).exec();
    }
}
