//! One stem per thing: a kernel or a number format is a Rust file, a shader file and a word in a list, all of one
//! name, and nothing of it lies elsewhere.

use super::Fault;
use super::rust::{self, Keep};
use super::source::{File, Workspace};

const SHADERS: &str = "shaders";
/// The folders of `shaders/` that the `ridgeline-shaders` crate links.
const SHADER_FOLDERS: [&str; 4] = ["format", "kernel", "reduce", "shared"];

const KERNELS: &str = "crates/kernels/src";
const KERNEL_LIST: &str = "crates/kernels/src/lib.rs";
const KERNEL_TRAIT: &str = "crates/compute/src/kernel.rs";

const FORMATS: &str = "crates/quant/src";
/// What makes a file of `quant` a number format.
const FORMAT_MARK: &str = "const SPEC: Spec";

/// The parts a kernel may not lack: its cost, what it may touch, how it is tested and what it means.
const KERNEL_MEMBERS: [&str; 5] = ["flops", "traffic", "extent", "sample", "reference"];

/// Shader text lies in the folders that the crate of shader text links, and nowhere else.
pub(super) fn shader_folders(workspace: &Workspace) -> Vec<Fault> {
    let linked = |file: &File| {
        let place = file.path.strip_prefix(SHADERS).and_then(|path| path.strip_prefix('/')?.split_once('/'));
        place.is_some_and(|(folder, name)| SHADER_FOLDERS.contains(&folder) && !name.contains('/'))
    };
    let message = format!("shader text lies in {SHADERS}/{{{}}}", SHADER_FOLDERS.join(","));
    let stray = workspace.with_extension("wgsl").filter(|file| !linked(file));
    stray.map(|file| Fault::whole(&file.path, message.as_str())).collect()
}

/// Every kernel shader has the Rust file of its stem and stands in the list, and the list names nothing else.
pub(super) fn kernels(workspace: &Workspace) -> Vec<Fault> {
    let Some(list) = workspace.get(KERNEL_LIST) else { return Vec::new() };
    let code = rust::code(list, Keep::Code);
    // Without a list the crate is either still empty or has lost it.
    let Some(listed) = rust::macro_list(&code, "kernels") else { return lost_list(workspace) };

    let mut faults = Vec::new();
    for shader in workspace.in_folder("shaders/kernel", "wgsl") {
        let stem = shader.stem();
        if !listed.contains(&stem) {
            faults.push(Fault::whole(&shader.path, format!("`{stem}` is not in the list of {KERNEL_LIST}")));
        }
    }
    for &stem in listed.iter().filter(|word| is_stem(word)) {
        let pair = [format!("{KERNELS}/{stem}.rs"), format!("shaders/kernel/{stem}.wgsl")];
        for path in pair.iter().filter(|path| workspace.get(path).is_none()) {
            faults.push(Fault::whole(KERNEL_LIST, format!("the listed kernel `{stem}` has no {path}")));
        }
        let [rust_path, _] = &pair;
        let declares = |file: &File| file.text.contains(&format!("(\"{stem}\")"));
        if workspace.get(rust_path).is_some_and(|file| !declares(file)) {
            faults.push(Fault::whole(rust_path, format!("does not declare a kernel called \"{stem}\"")));
        }
    }
    faults
}

/// Kernel files without a list of kernels.
fn lost_list(workspace: &Workspace) -> Vec<Fault> {
    let kernels = workspace.in_folder(KERNELS, "rs").filter(|file| file.text.contains("kernel! {"));
    kernels
        .take(1)
        .map(|_| Fault::whole(KERNEL_LIST, "there are kernels, but no list `kernels! { … }`"))
        .collect()
}

/// Every format shader has a Rust file of its stem, and every Rust file of a format has its shader. Formats that differ
/// only in numbers share the Rust file of their family: `mlx4_g64.wgsl` belongs to `mlx.rs`.
pub(super) fn formats(workspace: &Workspace) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut families = Vec::new();
    for shader in workspace.in_folder("shaders/format", "wgsl") {
        let family = shader.stem().split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned();
        let path = format!("{FORMATS}/{}.rs", shader.stem());
        if workspace.get(&path).is_some() {
            continue;
        }
        if workspace.get(&format!("{FORMATS}/{family}.rs")).is_none() {
            faults.push(Fault::whole(&shader.path, format!("has no {path}")));
        }
        families.push(family);
    }
    for format in workspace.in_folder(FORMATS, "rs").filter(|file| file.text.contains(FORMAT_MARK)) {
        let path = format!("shaders/format/{}.wgsl", format.stem());
        if workspace.get(&path).is_none() && !families.iter().any(|family| *family == format.stem()) {
            faults.push(Fault::whole(&format.path, format!("has no {path}")));
        }
    }
    faults
}

/// The trait has no default for the parts a kernel may not lack, so that the compiler asks every kernel for them.
pub(super) fn kernel_parts(workspace: &Workspace) -> Vec<Fault> {
    let Some(file) = workspace.get(KERNEL_TRAIT) else { return Vec::new() };
    let code = rust::product_code(file, Keep::Code);
    let Some(start) = code.find("pub trait Kernel") else {
        return vec![Fault::whole(KERNEL_TRAIT, "does not define `pub trait Kernel`")];
    };
    let body = &code[start..code[start..].find("\n}").map_or(code.len(), |end| start + end)];
    let required = |part: &&&str| {
        let signature = body.split_once(&format!("fn {part}(")).map(|(_, rest)| rest);
        let end = signature.and_then(|rest| rest.find([';', '{']).map(|at| &rest[at..]));
        end.is_some_and(|rest| rest.starts_with(';'))
    };
    let missing = KERNEL_MEMBERS.iter().filter(|part| !required(part));
    missing
        .map(|part| Fault::whole(KERNEL_TRAIT, format!("`fn {part}` has to be required of every kernel")))
        .collect()
}

/// Stems are lower case; a list may name types beside them.
fn is_stem(word: &str) -> bool {
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
    fn a_lost_list_is_found() {
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
        let required = "    fn flops(&self) -> u64;\n    fn traffic(&self);\n    fn extent(&self);\n    fn sample(&self);\n";
        let kernel =
            |twin: &str| format!("pub trait Kernel: Copy {{\n{required}    {twin}\n}}\nfn reference();\n");
        let faults = |text: &str| kernel_parts(&Workspace::of(&[(KERNEL_TRAIT, text)])).len();
        assert_eq!(faults(&kernel("fn reference(&self);")), 0);
        assert_eq!(faults(&kernel("fn reference(&self) {}")), 1);
        assert_eq!(faults(&kernel("")), 1);
    }
}
