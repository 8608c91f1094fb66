//! `ridgeline shaders`: writes the complete WGSL of every kernel variant.

use crate::globals::Globals;
use crate::output;
use anyhow::Context;
use ridgeline_compute::{AnyKernel, Caps};
use ridgeline_measure::models;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the complete WGSL source of every GPU kernel and its variants, for debugging
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Output folder for the files <kernel>/<variant>.wgsl [default: target/shaders]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let out = args.out.unwrap_or_else(|| models::root().join("target").join("shaders"));
    let linker = ridgeline_kernels::linker()?;
    let kernels = ridgeline_kernels::all(&Caps::everything());
    for kernel in &kernels {
        let path = out.join(file_name(kernel));
        write(&path, &linker.render(&**kernel)?.wgsl).with_context(|| path.display().to_string())?;
    }
    if globals.json {
        output::json(&serde_json::json!({ "out": out, "shaders": kernels.len() }))?;
    } else {
        output::text(&format!("{} shaders in {}\n", kernels.len(), out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// `mat_vec/format-F16-rows-4.wgsl`: the kernel, and its variant with dashes for all but letters and digits.
fn file_name(kernel: &AnyKernel) -> PathBuf {
    let label = kernel.label();
    let variant = label.split_once(|c: char| !c.is_alphanumeric()).map_or("", |(_, variant)| variant);
    let words = variant.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join("-");
    let base = if words.is_empty() { kernel.name() } else { &words };
    Path::new(kernel.name()).join(format!("{base}.wgsl"))
}

#[cfg(test)]
mod tests {
    use super::file_name;
    use ridgeline_compute::Caps;
    use std::collections::HashSet;

    #[test]
    fn every_variant_has_a_file_of_its_own() {
        let kernels = ridgeline_kernels::all(&Caps::everything());
        let names: HashSet<_> = kernels.iter().map(file_name).collect();
        assert_eq!(names.len(), kernels.len());
        for name in names {
            let name = name.to_str().expect("UTF-8");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c)), "{name}");
        }
    }
}
