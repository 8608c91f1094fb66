//! The cache of `huggingface_hub`: `models--user--model/` with `blobs/`, `snapshots/<commit>/` and `refs/<revision>`.

use crate::name::is_commit;
use crate::select::{Selected, select};
use crate::{Error, Name};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the cache, as `huggingface_hub` chooses it: `HF_HUB_CACHE`, `HF_HOME` or the user's cache folder.
///
/// # Errors
/// [`Error::NoHome`] where no variable names it and there is no home folder.
pub fn folder() -> Result<PathBuf, Error> {
    match variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")) {
        Some(folder) => Ok(folder.into()),
        None => Ok(home()?.join("hub")),
    }
}

/// The folder of the Hub's files: `HF_HOME`, or `huggingface` in the user's cache folder.
pub(crate) fn home() -> Result<PathBuf, Error> {
    if let Some(home) = variable("HF_HOME") {
        return Ok(home.into());
    }
    let cache = match variable("XDG_CACHE_HOME") {
        Some(cache) => cache.into(),
        None => env::home_dir().filter(|it| !it.as_os_str().is_empty()).ok_or(Error::NoHome)?.join(".cache"),
    };
    Ok(cache.join("huggingface"))
}

/// An environment variable that is not empty.
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name).filter(|it| !it.is_empty())
}

/// A model in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The GGUF file, or the folder.
    pub path: PathBuf,
    /// The name for records: that of the GGUF file, or `user/model` of a folder.
    pub label: String,
}

/// Finds a model in the cache. Uses no network.
///
/// # Errors
/// [`Error::NotCached`] where it is not there; [`Error::NoFile`] where another quantization is.
pub fn local(name: &Name) -> Result<Found, Error> {
    Repo::of(name, folder()?).find(name)
}

/// The folder of a repository.
#[derive(Debug)]
pub(crate) struct Repo {
    /// The cache.
    pub(crate) cache: PathBuf,
    /// `models--user--model`.
    pub(crate) folder: String,
}

impl Repo {
    /// The repository of a name in a cache.
    pub(crate) fn of(name: &Name, cache: PathBuf) -> Self {
        Self { cache, folder: format!("models--{}", name.repo.replace('/', "--")) }
    }

    /// A file or folder of the repository's folder.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.cache.join(&self.folder).join(path)
    }

    /// The folder of a commit's files.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.join("snapshots").join(commit)
    }

    /// The commit of a revision in the cache.
    fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|it| is_commit(it))
    }

    /// The model in the cache.
    pub(crate) fn find(&self, name: &Name) -> Result<Found, Error> {
        let missing = || Error::NotCached { name: name.to_string(), folder: self.cache.clone() };
        let folder = self.snapshot(&self.commit(&name.revision).ok_or_else(missing)?);
        let mut files = Vec::new();
        list(&folder, "", &mut files);
        let names: Vec<&str> = files.iter().map(String::as_str).collect();
        match select(name, &names) {
            Ok(Selected::Gguf(parts)) => {
                let path = folder.join(parts[0]);
                let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Found { path, label })
            }
            Ok(Selected::Folder(_)) => Ok(Found { path: folder, label: name.repo.clone() }),
            Err(Error::NoFile { repo, selection, files }) => {
                let files = format!("{files} in the cache; fetch it with `ridgeline fetch {name}`");
                Err(Error::NoFile { repo, selection, files })
            }
            // A part of a model, such as a tokenizer that another program fetched, is no model.
            Err(_) => Err(missing()),
        }
    }
}

/// Deepest folder of a repository that is searched.
const DEPTH: usize = 4;

/// Appends the paths of the files under `folder`, relative to it, with `/` between names. Broken links are no files.
fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if path.is_file() {
            files.push(format!("{prefix}{name}"));
        } else if path.is_dir() && prefix.matches('/').count() < DEPTH {
            list(&path, &format!("{prefix}{name}/"), files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_its_revision_and_quantization() {
        let temporary = tempfile::tempdir().expect("a folder");
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let repo = Repo { cache: temporary.path().to_owned(), folder: "models--a--b".to_owned() };
        let find = |name: &str| repo.find(&name.parse().expect("a name"));
        assert!(matches!(find("a/b"), Err(Error::NotCached { .. })));
        let snapshot = repo.snapshot(commit);
        fs::create_dir_all(snapshot.join("sub")).expect("folders");
        fs::create_dir_all(repo.join("refs/refs/pr")).expect("folders");
        for file in ["m-Q8_0.gguf", "sub/m-Q4_K_M.gguf", "mmproj-F16.gguf"] {
            fs::write(snapshot.join(file), "").expect("a file");
        }
        assert!(matches!(find("a/b"), Err(Error::NotCached { .. })), "no revision has this name");
        fs::write(repo.join("refs/main"), commit).expect("a file");
        fs::write(repo.join("refs/refs/pr/1"), format!("{commit}\n")).expect("a file");
        for name in ["a/b", "a/b@refs/pr/1", &format!("a/b@{commit}")] {
            assert_eq!(find(name).expect(name).path, snapshot.join("sub/m-Q4_K_M.gguf"));
        }
        assert_eq!(find("a/b:q8_0").expect("a file").label, "m-Q8_0.gguf");
        let error = find("a/b:q2_k").expect_err("no such file").to_string();
        assert!(error.contains("m-Q8_0.gguf") && error.contains("ridgeline fetch a/b:q2_k"), "{error}");
        fs::write(repo.join("refs/main"), "../../../elsewhere").expect("a file");
        assert!(matches!(find("a/b"), Err(Error::NotCached { .. })), "no commit, no folder");
    }

    #[test]
    fn a_part_of_a_model_is_no_model() {
        let temporary = tempfile::tempdir().expect("a folder");
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let repo = Repo { cache: temporary.path().to_owned(), folder: "models--a--b".to_owned() };
        let name: Name = format!("a/b@{commit}").parse().expect("a name");
        let snapshot = repo.snapshot(commit);
        fs::create_dir_all(&snapshot).expect("a folder");
        for file in ["config.json", "tokenizer.json", "m-00001-of-00002.gguf"] {
            assert!(matches!(repo.find(&name), Err(Error::NotCached { .. })), "before {file}");
            fs::write(snapshot.join(file), "").expect("a file");
        }
        assert!(matches!(repo.find(&name), Err(Error::NotCached { .. })), "a part is missing");
        fs::remove_file(snapshot.join("m-00001-of-00002.gguf")).expect("it is there");
        fs::write(snapshot.join("model.safetensors"), "").expect("a file");
        let found = repo.find(&name).expect("a folder");
        assert_eq!((found.path, &*found.label), (snapshot, "a/b"));
    }
}
