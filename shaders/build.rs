//! Lists every `.wgsl` file of the shader folders and writes the table that `src/lib.rs` includes.
//!
//! The table is generated so that adding a shader is adding a file: nothing else names it here.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folders of shader text. A missing folder counts as empty.
const FOLDERS: [&str; 4] = ["format", "kernel", "reduce", "shared"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    // Watch the whole crate folder, because a shader folder may be created later. If the script watched a folder that
    // does not exist, cargo would rerun it on every build.
    println!("cargo::rerun-if-changed={}", root.display());

    let mut rows = String::new();
    for folder in FOLDERS {
        for name in shader_names(&root.join(folder))? {
            let path = format!("{folder}/{name}");
            match fault(&fs::read(root.join(&path))?) {
                Some(fault) => println!("cargo::error=shaders/{path} {fault}"),
                None => rows.push_str(&row(&path)),
            }
        }
    }
    let table = format!("&[\n{rows}]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("files.rs"), table)
}

/// One line of the generated table: the name, and the text read at compile time.
fn row(path: &str) -> String {
    format!("    ({path:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{path}\"))),\n")
}

/// The names of the `.wgsl` files directly in `folder`, sorted.
fn shader_names(folder: &Path) -> io::Result<Vec<String>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".wgsl") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Why this file cannot be linked into a shader, or `None` where it can.
///
/// Files are joined when a kernel includes another file. Without a final newline, the last line of one and the first
/// line of the next would become one line.
fn fault(bytes: &[u8]) -> Option<&'static str> {
    if std::str::from_utf8(bytes).is_err() {
        Some("is not valid UTF-8")
    } else if !bytes.ends_with(b"\n") {
        Some("does not end with a newline: add one, because other shader text is appended after it")
    } else {
        None
    }
}

/// A variable that cargo sets for every build script.
fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
