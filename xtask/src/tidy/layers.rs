//! Layers: the table of which crate may use which, and the check of every manifest against it.

use super::Fault;
use super::source::{File, Workspace};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Each crate's folder and the crates it depends on directly. A crate may also use their dependencies.
///
/// Every crate comes after the crates it names, so the table has no cycle. A test checks the order.
const LAYERS: &[(&str, &[&str])] = &[
    ("shaders", &[]),
    ("roofline", &[]),
    ("speculative", &[]),
    ("text", &[]),
    ("image", &[]),
    ("quant", &["shaders"]),
    ("hub", &["quant"]),
    ("weights", &["quant"]),
    ("compute", &["roofline"]),
    ("kernels", &["compute", "quant", "shaders"]),
    ("gpu", &["compute"]),
    ("model", &["weights", "kernels", "speculative"]),
    ("experiment", &["roofline"]),
    ("measure", &["experiment", "gpu", "hub", "model", "text"]),
    ("lab", &["image", "measure"]),
    ("xtask", &[]),
];

/// The document that shows the rendered table.
const DOCUMENT: &str = "ARCHITECTURE.md";

/// The manifest of the only crate that may depend on wgpu.
const GPU_MANIFEST: &str = "crates/gpu/Cargo.toml";

/// The command line's crate. No other crate may use it, even in tests.
const TOP: &str = "lab";

/// Dependencies obey the table, and the document shows the same table.
pub(super) fn edges(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (folder, manifest) in manifests(workspace) {
        let Some(allowed) = may_use(folder) else {
            faults
                .push(Fault::whole(&manifest.path, format!("`{folder}` has no row in the table of layers")));
            continue;
        };
        for dependency in dependencies(manifest) {
            let Some(used) = dependency.name.strip_prefix("ridgeline-") else { continue };
            // Tests may use an executor or a tokenizer, but nothing may use the command line.
            let allowed_here = if dependency.test_only { used != TOP } else { allowed.contains(used) };
            if !allowed_here {
                let message = format!("`{folder}` may not use `{used}`");
                faults.push(Fault::at(&manifest.path, dependency.line, message));
            }
        }
    }
    let table = rendered();
    if workspace.get(DOCUMENT).is_some_and(|document| !document.text.contains(&table)) {
        faults
            .push(Fault::whole(DOCUMENT, format!("the table of layers is stale; it should read\n\n{table}")));
    }
    faults
}

/// `wgpu` is a dependency of one crate. The workspace manifest may give its version.
pub(super) fn wgpu_in_one_manifest(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (_, manifest) in manifests(workspace).filter(|(_, manifest)| manifest.path != GPU_MANIFEST) {
        for dependency in dependencies(manifest).filter(|dependency| dependency.name.starts_with("wgpu")) {
            let message = format!("`{}` belongs in {GPU_MANIFEST} alone", dependency.name);
            faults.push(Fault::at(&manifest.path, dependency.line, message));
        }
    }
    faults
}

/// `xtask` depends on `anyhow` only, so it compiles in seconds.
pub(super) fn thin_xtask(workspace: &Workspace) -> Vec<Fault> {
    let Some(manifest) = workspace.get("xtask/Cargo.toml") else { return Vec::new() };
    dependencies(manifest)
        .filter(|dependency| dependency.name != "anyhow")
        .map(|dependency| {
            let message = format!("xtask may depend on `anyhow` only, not on `{}`", dependency.name);
            Fault::at(&manifest.path, dependency.line, message)
        })
        .collect()
}

/// The table as Markdown.
fn rendered() -> String {
    let mut table = "| crate | direct dependencies | transitive dependencies |\n|---|---|---|\n".to_owned();
    for &(folder, direct) in LAYERS {
        let below: BTreeSet<&str> = may_use(folder).unwrap_or_default();
        let further = below.iter().copied().filter(|name| !direct.contains(name));
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| `{folder}` | {} | {} |",
            code_list(direct.iter().copied()),
            code_list(further)
        );
    }
    table
}

fn code_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "–".to_owned() } else { names.join(" ") }
}

/// Every crate that the crate in `folder` may use, directly or indirectly. `None` if it is not in the table.
fn may_use(folder: &str) -> Option<BTreeSet<&'static str>> {
    let (_, direct) = LAYERS.iter().find(|(name, _)| *name == folder)?;
    let mut all = BTreeSet::new();
    for &name in *direct {
        all.insert(name);
        all.extend(may_use(name)?);
    }
    Some(all)
}

/// The manifests of the workspace's crates, each with its crate's folder.
fn manifests(workspace: &Workspace) -> impl Iterator<Item = (&str, &File)> {
    workspace.with_extension("toml").filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        let folder = folder.strip_prefix("crates/").unwrap_or(folder);
        (!folder.contains('/')).then_some((folder, file))
    })
}

struct Dependency<'a> {
    name: &'a str,
    line: usize,
    test_only: bool,
}

/// The dependencies a manifest names, in all its dependency tables.
fn dependencies(manifest: &File) -> impl Iterator<Item = Dependency<'_>> {
    let mut section = "";
    manifest.lines().filter_map(move |(line, text)| {
        if let Some(header) = text.trim().strip_prefix('[') {
            section = header.trim_end_matches(']');
            // `[dependencies.name]` names a dependency in the header itself.
            let (table, name) = section.rsplit_once('.')?;
            return table.ends_with("dependencies").then(|| Dependency {
                name,
                line,
                test_only: is_dev(table),
            });
        }
        let (key, _) = text.split_once('=')?;
        let name = key.trim().split('.').next()?.trim_matches('"');
        section.ends_with("dependencies").then(|| Dependency { name, line, test_only: is_dev(section) })
    })
}

fn is_dev(section: &str) -> bool {
    section.ends_with("dev-dependencies")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(faults: &[Fault]) -> Vec<usize> {
        faults.iter().map(|fault| fault.line).collect()
    }

    #[test]
    fn the_table_is_in_order() {
        for (row, (folder, direct)) in LAYERS.iter().enumerate() {
            for name in *direct {
                let earlier = LAYERS[..row].iter().any(|(earlier, _)| earlier == name);
                assert!(earlier, "{folder} names {name}, which must come before it");
            }
        }
    }

    #[test]
    fn lab_may_use_every_library() {
        let below = may_use("lab").expect("lab is in the table");
        let others = LAYERS.iter().map(|(name, _)| *name).filter(|name| !["lab", "xtask"].contains(name));
        assert_eq!(below, others.collect::<BTreeSet<_>>());
    }

    #[test]
    fn an_edge_upwards_is_found() {
        let manifest = "[dependencies]\nridgeline-roofline.workspace = true\nridgeline-gpu = { path = \"../gpu\" }\n\
                        [dependencies.ridgeline-lab]\npath = \"../lab\"\n\
                        [dev-dependencies]\nridgeline-gpu.workspace = true\nridgeline-lab.workspace = true\n";
        let workspace = Workspace::of(&[("crates/kernels/Cargo.toml", manifest)]);
        assert_eq!(lines(&edges(&workspace)), [3, 4, 8]);
    }

    #[test]
    fn an_unknown_crate_and_a_stale_document_are_found() {
        let files = [("crates/new/Cargo.toml", "[package]\n"), ("ARCHITECTURE.md", "# Architecture\n")];
        assert_eq!(edges(&Workspace::of(&files)).len(), 2);
        assert_eq!(edges(&Workspace::of(&[("ARCHITECTURE.md", &rendered())])), []);
    }

    #[test]
    fn wgpu_outside_gpu_is_found() {
        let manifest = "[target.'cfg(unix)'.dependencies]\nwgpu-hal = \"30\"\n[dev-dependencies]\nwgpu.workspace = true\n";
        let files = [("crates/gpu/Cargo.toml", manifest), ("crates/lab/Cargo.toml", manifest)];
        let faults = wgpu_in_one_manifest(&Workspace::of(&files));
        assert_eq!(lines(&faults), [2, 4]);
        assert!(faults.iter().all(|fault| fault.path == "crates/lab/Cargo.toml"));
    }

    #[test]
    fn a_heavy_xtask_is_found() {
        let manifest =
            "[package]\nname = \"xtask\"\n[dependencies]\nanyhow.workspace = true\nserde = \"1\"\n";
        assert_eq!(lines(&thin_xtask(&Workspace::of(&[("xtask/Cargo.toml", manifest)]))), [5]);
    }
}
