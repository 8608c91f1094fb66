//! Checks of files that a command is going to write: nothing is destroyed without being asked.

use crate::globals::UsageError;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that are enough to recognize a file.
const HEAD: u64 = 4096;

/// Fails unless a new file may be written at `path`. Its folder must exist, and no folder or input may have its name. With
/// `force`, another file may.
pub(crate) fn check(path: &Path, inputs: &[PathBuf], force: bool) -> Result<(), UsageError> {
    place(path)?;
    let real = |path: &Path| path.canonicalize().ok();
    if real(path).is_some_and(|out| inputs.iter().any(|it| real(it).as_ref() == Some(&out))) {
        return Err(UsageError(format!("{}: the output is the input; choose another file", path.display())));
    }
    // The new file is renamed into its place, so that a device such as /dev/null would be replaced by it.
    if path.metadata().is_ok_and(|it| !it.is_file()) {
        let text = format!(
            "{}: this is a device or a pipe, which the new file would replace; name a file",
            path.display()
        );
        return Err(UsageError(text));
    }
    // A link without a target counts too, because the new file would replace it.
    if path.symlink_metadata().is_ok() && !force {
        return Err(UsageError(format!("{}: the file exists; --force replaces it", path.display())));
    }
    Ok(())
}

/// Fails unless `path` is free, or has a file of the kind `what` that an earlier run wrote.
pub(crate) fn replaceable(path: &Path, what: &str, is_own: impl Fn(&[u8]) -> bool) -> Result<(), UsageError> {
    place(path)?;
    let mut head = Vec::new();
    // A new file, a device such as /dev/stdout and an unreadable file are left to the writer.
    let regular = path.metadata().is_ok_and(|it| it.is_file());
    let read = regular && File::open(path).is_ok_and(|it| it.take(HEAD).read_to_end(&mut head).is_ok());
    if read && !head.is_empty() && !is_own(&head) {
        let text = format!("{}: the existing file is not {what}; choose another name", path.display());
        return Err(UsageError(text));
    }
    Ok(())
}

/// Fails unless a file can be at `path`.
pub(crate) fn place(path: &Path) -> Result<(), UsageError> {
    if path.is_dir() {
        return Err(UsageError(format!("{}: this is a folder; name a file in it", path.display())));
    }
    match path.parent().filter(|it| !it.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            let folder = folder.display();
            Err(UsageError(format!(
                "{}: the folder {folder} does not exist; create it first",
                path.display()
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{check, replaceable};
    use std::fs;

    #[test]
    fn nothing_is_replaced_without_being_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let [input, new, old] = ["in.gguf", "new.gguf", "old.gguf"].map(|it| folder.path().join(it));
        fs::write(&input, "weights").expect("a file");
        fs::write(&old, "precious").expect("a file");
        let inputs = [input.clone()];
        let message =
            |path: &std::path::Path, force| check(path, &inputs, force).err().map(|it| it.to_string());
        assert_eq!(message(&new, false), None);
        assert_eq!(message(&old, true), None);
        assert!(message(&old, false).is_some_and(|it| it.contains("--force")));
        assert!(message(&input, true).is_some_and(|it| it.contains("is the input")));
        assert!(message(folder.path(), true).is_some_and(|it| it.contains("a folder")));
        assert!(
            message(&folder.path().join("no/such.gguf"), true)
                .is_some_and(|it| it.contains("does not exist"))
        );
        #[cfg(unix)]
        {
            let link = folder.path().join("link.gguf");
            std::os::unix::fs::symlink(&input, &link).expect("a link");
            assert!(message(&link, true).is_some_and(|it| it.contains("is the input")));
            assert!(message("/dev/null".as_ref(), true).is_some_and(|it| it.contains("a device")));
        }
    }

    #[test]
    fn a_result_replaces_only_results_of_its_kind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        let check = || replaceable(&path, "a list", |bytes| bytes.starts_with(b"[")).is_ok();
        assert!(check());
        for (bytes, allowed) in [("", true), ("[1]", true), ("GGUF", false)] {
            fs::write(&path, bytes).expect("a file");
            assert_eq!(check(), allowed, "{bytes}");
        }
    }
}
