//! WGSL text of every kernel, quantization type and reduction.
//!
//! Text only: this crate does not render, parse or validate, and has no dependencies. So any host can link the same
//! shaders. The files are beside `src/`, in `format/`, `kernel/`, `reduce/` and `shared/`.

/// Every shader file as `(name, text)`, sorted by name. A name is the path under `shaders/`, such as
/// `kernel/mat_vec.wgsl`. Every text ends with a newline.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The text of the shader file called `name`, or `None` where there is no such file.
#[must_use]
pub fn get(name: &str) -> Option<&'static str> {
    let index = FILES.binary_search_by(|(key, _)| (*key).cmp(name)).ok()?;
    FILES.get(index).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Every `.wgsl` below `folder`, as a path relative to the crate.
    fn on_disk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("the crate's own folders can be read") {
            let path = entry.expect("the crate's own entries can be read").path();
            if path.is_dir() {
                on_disk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "wgsl") {
                let relative = path.strip_prefix(root).expect("the walk starts at the root");
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }

    #[test]
    fn the_table_holds_every_file_on_disk_in_order() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut expected = Vec::new();
        on_disk(root, root, &mut expected);
        expected.sort();
        let listed: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(listed, expected, "a shader outside the four folders is never linked");
    }

    #[test]
    fn every_listed_name_is_found_with_the_text_on_disk() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, _) in FILES {
            let text = std::fs::read_to_string(root.join(name)).expect("a listed file exists");
            assert_eq!(get(name), Some(text.as_str()), "{name}");
            assert!(text.ends_with('\n'), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_none() {
        assert_eq!(get("kernel/no_such_kernel.wgsl"), None);
        assert_eq!(get(""), None);
    }
}
