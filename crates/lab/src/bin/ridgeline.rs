//! The `ridgeline` command.

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    again::start();
    ridgeline_lab::cli::main(std::env::args_os())
}

/// Starting this program again with settings that libraries read from the environment when they are loaded.
#[cfg(target_os = "linux")]
mod again {
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::Command;

    /// A software adapter's memory is the C library's, and in huge pages a model is loaded in half the time (glibc).
    const HUGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
    /// Mesa's layer that puts the desktop's adapter first writes errors where there is no desktop.
    const NO_DESKTOP: (&str, &str) = ("NODEVICE_SELECT", "1");
    /// One of these is set where there is a desktop, or where that layer is asked for an adapter.
    const DESKTOP: [&str; 5] =
        ["DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "MESA_VK_DEVICE_SELECT", "DRI_PRIME"];

    /// Makes SwiftShader the driver where it is asked for: the Vulkan loader does not look where Chromium keeps it.
    fn swiftshader() -> Option<[(&'static str, PathBuf); 2]> {
        let name = ridgeline_lab::cli::device(std::env::args_os())?;
        let settings =
            ridgeline_gpu::swiftshader().filter(|_| name.to_lowercase().contains("swiftshader"))?;
        // Whoever set one of them has a driver of their own in mind.
        let own = settings.iter().any(|(variable, _)| std::env::var_os(variable).is_some());
        (!own).then_some(settings)
    }

    /// Does nothing where whoever started this program has settings of their own.
    pub(crate) fn start() {
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
        let mut again = Command::new(program);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        // It comes back only where that failed, and then it is slower or louder.
        let _ = again.args(arguments).envs(settings).exec();
    }
}
