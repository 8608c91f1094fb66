//! Where kernels and quantization types lie: each is a Rust file, a shader file and a list entry of one base name.

use super::Fault;
use super::rust::{self, Keep};
use super::source::{File, Workspace};

const SHADERS: &str = "shaders";
/// The folders of `shaders/` that the `ridgeline-shaders` crate includes.
const SHADER_FOLDERS: [&str; 4] = ["format", "kernel", "reduce", "shared"];

const KERNELS: &str = "crates/kernels/src";
const KERNEL_LIST: &str = "crates/kernels/src/lib.rs";
const KERNEL_TRAIT: &str = "crates/compute/src/kernel.rs";

const FORMATS: &str = "crates/quant/src";
/// Marks a file of `quant` as a quantization type.
const FORMAT_MARK: &str = "const SPEC: Spec";

/// The methods every kernel defines: its cost, its buffer bounds, its test input and its CPU reference.
const KERNEL_MEMBERS: [&str; 5] = ["flops", "traffic", "min_binding_size", "test_input", "reference"];

/// Shader text lies in the folders that `ridgeline-shaders` includes, and nowhere else.
pub(super) fn shader_folders(workspace: &Workspace) -> Vec<Fault> {
    let linked = |file: &File| {
        let place = file.path.strip_prefix(SHADERS).and_then(|path| path.strip_prefix('/')?.split_once('/'));
        place.is_some_and(|(folder, name)| SHADER_FOLDERS.contains(&folder) && !name.contains('/'))
    };
    let message = format!("shader text lies in {SHADERS}/{{{}}}", SHADER_FOLDERS.join(","));
    let stray = workspace.with_extension("wgsl").filter(|file| !linked(file));
    stray.map(|file| Fault::whole(&file.path, message.as_str())).collect()
}

/// Every kernel shader has a Rust file of the same base name and an entry in the list. The list names nothing else.
pub(super) fn kernels(workspace: &Workspace) -> Vec<Fault> {
    let Some(list) = workspace.get(KERNEL_LIST) else { return Vec::new() };
    let code = rust::code(list, Keep::Code);
    // A crate without kernels needs no list.
    let Some(listed) = rust::macro_list(&code, "kernels") else { return missing_list(workspace) };

    let mut faults = Vec::new();
    for shader in workspace.in_folder("shaders/kernel", "wgsl") {
        let name = shader.base_name();
        if !listed.contains(&name) {
            faults.push(Fault::whole(&shader.path, format!("`{name}` is not in the list of {KERNEL_LIST}")));
        }
    }
    for &name in listed.iter().filter(|word| is_base_name(word)) {
        let pair = [format!("{KERNELS}/{name}.rs"), format!("shaders/kernel/{name}.wgsl")];
        for path in pair.iter().filter(|path| workspace.get(path).is_none()) {
            faults.push(Fault::whole(KERNEL_LIST, format!("the listed kernel `{name}` has no {path}")));
        }
        let [rust_path, _] = &pair;
        let declares = |file: &File| file.text.contains(&format!("(\"{name}\")"));
        if workspace.get(rust_path).is_some_and(|file| !declares(file)) {
            faults.push(Fault::whole(rust_path, format!("does not declare a kernel called \"{name}\"")));
        }
    }
    faults
}

/// A fault where there are kernel files but no list of kernels.
fn missing_list(workspace: &Workspace) -> Vec<Fault> {
    let kernels = workspace.in_folder(KERNELS, "rs").filter(|file| file.text.contains("kernel! {"));
    kernels
        .take(1)
        .map(|_| Fault::whole(KERNEL_LIST, "there are kernels, but no list `kernels! { … }`"))
        .collect()
}

/// The shader and the Rust file of a quantization type have the same base name, and neither lacks the other.
///
/// Types that differ only in numbers share the Rust file of their family: `mlx4_g64.wgsl` belongs to `mlx.rs`.
pub(super) fn formats(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut families = Vec::new();
    for shader in workspace.in_folder("shaders/format", "wgsl") {
        let family =
            shader.base_name().split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned();
        let path = format!("{FORMATS}/{}.rs", shader.base_name());
        if workspace.get(&path).is_some() {
            continue;
        }
        if workspace.get(&format!("{FORMATS}/{family}.rs")).is_none() {
            faults.push(Fault::whole(&shader.path, format!("has no {path}")));
        }
        families.push(family);
    }
    for format in workspace.in_folder(FORMATS, "rs").filter(|file| file.text.contains(FORMAT_MARK)) {
        let path = format!("shaders/format/{}.wgsl", format.base_name());
        if workspace.get(&path).is_none() && !families.iter().any(|family| *family == format.base_name()) {
            faults.push(Fault::whole(&format.path, format!("has no {path}")));
        }
    }
    faults
}

/// The trait `Kernel` has no default for the methods every kernel defines, so the compiler requires them.
pub(super) fn kernel_members(workspace: &Workspace) -> Vec<Fault> {
    let Some(file) = workspace.get(KERNEL_TRAIT) else { return Vec::new() };
    let code = rust::product_code(file, Keep::Code);
    let Some(start) = code.find("pub trait Kernel") else {
        return vec![Fault::whole(KERNEL_TRAIT, "does not define `pub trait Kernel`")];
    };
    let body = &code[start..code[start..].find("\n}").map_or(code.len(), |end| start + end)];
    let required = |member: &&&str| {
        let signature = body.split_once(&format!("fn {member}(")).map(|(_, rest)| rest);
        let end = signature.and_then(|rest| rest.find([';', '{']).map(|at| &rest[at..]));
        end.is_some_and(|rest| rest.starts_with(';'))
    };
    let missing = KERNEL_MEMBERS.iter().filter(|member| !required(member));
    missing
        .map(|member| Fault::whole(KERNEL_TRAIT, format!("`fn {member}` must not have a default body")))
        .collect()
}

/// Base names are lower case. A list may name types beside them.
fn is_base_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stray_shader_text_is_found() {
        let stray =
            ["crates/gpu/src/a.wgsl", "shaders/a.wgsl", "shaders/old/a.wgsl", "shaders/kernel/deep/a.wgsl"];
        let mut files: Vec<_> = stray.iter().map(|path| (*path, "")).collect();
        files.push(("shaders/kernel/a.wgsl", ""));
        let faults = shader_folders(&Workspace::of(&files));
        assert_eq!(faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), stray);
    }

    #[test]
    fn a_kernel_that_is_not_complete_is_found() {
        let list = "//! Kernels.\nkernels! { mat_vec::MatVec, copy::Copy }\n";
        let files = [
            ("crates/kernels/src/lib.rs", list),
            ("crates/kernels/src/mat_vec.rs", "pub struct MatVec(\"mat_mul\") {}"),
            ("shaders/kernel/mat_vec.wgsl", ""),
            ("shaders/kernel/orphan.wgsl", ""),
        ];
        let faults = kernels(&Workspace::of(&files));
        let expected = [
            "`orphan` is not in the list of crates/kernels/src/lib.rs",
            "does not declare a kernel called \"mat_vec\"",
            "the listed kernel `copy` has no crates/kernels/src/copy.rs",
            "the listed kernel `copy` has no shaders/kernel/copy.wgsl",
        ];
        assert_eq!(faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_missing_list_is_found() {
        let files = [("crates/kernels/src/lib.rs", ""), ("crates/kernels/src/copy.rs", "kernel! {")];
        assert_eq!(kernels(&Workspace::of(&files)).len(), 1);
        assert_eq!(kernels(&Workspace::of(&files[..1])), []);
    }

    #[test]
    fn a_format_that_is_not_complete_is_found() {
        let files = [
            ("crates/quant/src/f16.rs", "pub(crate) const SPEC: Spec = Spec {};"),
            ("crates/quant/src/f32.rs", "pub(crate) const SPEC: Spec = Spec {};"),
            ("crates/quant/src/group.rs", "pub(crate) const SPEC: Spec = Spec {};"),
            ("crates/quant/src/lib.rs", ""),
            ("shaders/format/f32.wgsl", ""),
            ("shaders/format/group4_64.wgsl", ""),
            ("shaders/format/q9.wgsl", ""),
        ];
        let faults = formats(&Workspace::of(&files));
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["shaders/format/q9.wgsl", "crates/quant/src/f16.rs"]);
    }

    #[test]
    fn an_optional_twin_is_found() {
        let required = "    fn flops(&self) -> u64;\n    fn traffic(&self);\n    fn min_binding_size(&self);\n    fn test_input(&self);\n";
        let kernel =
            |twin: &str| format!("pub trait Kernel: Copy {{\n{required}    {twin}\n}}\nfn reference();\n");
        let faults = |text: &str| kernel_members(&Workspace::of(&[(KERNEL_TRAIT, text)])).len();
        assert_eq!(faults(&kernel("fn reference(&self);")), 0);
        assert_eq!(faults(&kernel("fn reference(&self) {}")), 1);
        assert_eq!(faults(&kernel("")), 1);
    }
}
