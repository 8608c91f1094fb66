//! The `ridgeline` command.

fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    in_huge_pages();
    ridgeline_lab::cli::main(std::env::args_os())
}

/// Starts this program again with a C library that asks for huge pages, unless whoever started it has settings of their
/// own. A software adapter's memory is that library's, and a model is loaded in half the time so. Only its start-up reads
/// the setting, hence the new start.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn in_huge_pages() {
    use std::os::unix::process::CommandExt;
    const SETTINGS: &str = "GLIBC_TUNABLES";
    if std::env::var_os(SETTINGS).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It comes back only where that failed, and then small pages do.
    let _ = again.args(arguments).env(SETTINGS, "glibc.malloc.hugetlb=1").exec();
}
