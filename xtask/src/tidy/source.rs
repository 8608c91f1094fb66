//! The text of the repository in memory. A check is thus a pure function and can be tested on bad input.

use anyhow::Context;
use std::fs;
use std::path::Path;

/// Folders of build output and downloads, which no check reads.
const SKIPPED: [&str; 3] = ["target", "results", "node_modules"];

/// Extensions of the files that the checks read.
const KINDS: [&str; 4] = ["rs", "wgsl", "toml", "md"];

/// One file: its path under the workspace root, with `/`, and its text.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// The file's name without folder and extension.
    pub(crate) fn base_name(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit_once('.').map_or(name, |(base_name, _)| base_name)
    }

    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    /// The crate's folder under `crates/`, such as `gpu`, for a file in its `src/`. `None` for every other file.
    pub(crate) fn crate_of_source(&self) -> Option<&str> {
        let (folder, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        rest.starts_with("src/").then_some(folder)
    }
}

/// Every file that the checks read, sorted by path.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) files: Vec<File>,
}

impl Workspace {
    /// Reads the repository below `root`.
    pub(crate) fn load(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        walk(root, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    pub(crate) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.has_extension(extension))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files with this extension directly in `folder`.
    pub(crate) fn in_folder(&self, folder: &str, extension: &str) -> impl Iterator<Item = &File> {
        self.with_extension(extension)
            .filter(move |file| file.path.rsplit_once('/').is_some_and(|(found, _)| found == folder))
    }
}

fn walk(root: &Path, folder: &str, files: &mut Vec<File>) -> anyhow::Result<()> {
    let here = root.join(folder);
    for entry in fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        // `file_type` does not follow links, because a linked folder is not part of the repository.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(root, &path, files)?;
        } else if kind.is_file() && KINDS.iter().any(|wanted| path.ends_with(&format!(".{wanted}"))) {
            let text = fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
impl Workspace {
    /// A made-up repository, for testing checks.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let own = |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        Self { files: files.iter().map(own).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_crate_only_below_src() {
        let crate_of = |path: &str| {
            let file = File { path: path.to_owned(), text: String::new() };
            file.crate_of_source().map(str::to_owned)
        };
        assert_eq!(crate_of("crates/gpu/src/clocks/slope.rs").as_deref(), Some("gpu"));
        assert_eq!(crate_of("crates/gpu/tests/clocks.rs"), None);
        assert_eq!(crate_of("xtask/src/main.rs"), None);
    }

    #[test]
    fn this_file_is_found_and_build_output_is_not() {
        let workspace = Workspace::load(&crate::root()).expect("the repository can be read");
        assert!(workspace.get("xtask/src/tidy/source.rs").is_some());
        assert!(workspace.files.iter().all(|file| !file.path.starts_with("target/")));
    }
}
