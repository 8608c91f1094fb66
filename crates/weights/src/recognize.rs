//! What a file is that cannot be read as weights, and what to do about it.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::Error;

/// Bytes that are enough to recognize a file.
const HEAD: usize = 512;

/// Beginnings of files, what such a file is, and the remedy.
const BEGINNINGS: &[(&[u8], &str, &str)] = &[
    (
        b"version https://git-lfs",
        "a Git LFS pointer, which names the file in place of its content",
        "run `git lfs pull` in its folder, or download the file alone",
    ),
    (b"PK\x03\x04", "a ZIP archive, such as PyTorch's .bin and .pt files", PYTORCH),
    (b"PK\x05\x06", "an empty ZIP archive", PYTORCH),
    (b"\x80\x02", "a Python pickle, such as PyTorch's older files", PYTORCH),
    (b"GGUF", "a GGUF file by its content", "give it a name that ends in .gguf"),
    (b"lmgg", "a GGML file, the format before GGUF", GGML),
    (b"fmgg", "a GGML file, the format before GGUF", GGML),
    (b"tjgg", "a GGML file, the format before GGUF", GGML),
    (b"\x1f\x8b", "compressed by gzip", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK),
    (b"\xfd7zXZ\0", "compressed by xz", UNPACK),
    (b"BZh", "compressed by bzip2", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"\x89HDF", "an HDF5 file, such as Keras writes", "save the model as safetensors, and give that folder"),
    (b"Entry not found", "a server's message that the file does not exist", DOWNLOAD),
    (b"Repository not found", "a server's message that the model does not exist", DOWNLOAD),
    (b"Invalid username or password", "a server's message that access was denied", DOWNLOAD),
    (b"Access to model", "a server's message that access was denied", DOWNLOAD),
];

const PYTORCH: &str =
    "save the model with `save_pretrained(folder, safe_serialization=True)`, and give that folder";
const GGML: &str = "convert it with llama.cpp's convert_llama_ggml_to_gguf.py, or use the model's GGUF file";
const UNPACK: &str = "unpack it first";
const DOWNLOAD: &str = "check the file's address and your access, and download it again";

/// Ends of names that download programs give to unfinished files.
const UNFINISHED: &[&str] = &["part", "partial", "incomplete", "crdownload", "download", "aria2", "tmp"];

/// The error for a file of another kind than weights, where its beginning or its name shows the kind.
pub(crate) fn recognize(path: &Path) -> Option<Error> {
    by_content(path, &read_head(path)?).or_else(|| by_name(path, &read_head(path)?))
}

/// The error for a file that should be JSON and is a pointer, a web page or the like.
pub fn recognize_json(path: &Path) -> Option<Error> {
    by_content(path, &read_head(path)?)
}

fn read_head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

fn other(path: &Path, what: &str, remedy: &str) -> Option<Error> {
    Some(Error::OtherKind { path: path.to_owned(), what: what.to_owned(), remedy: remedy.to_owned() })
}

fn by_content(path: &Path, head: &[u8]) -> Option<Error> {
    let error = |what: &str, remedy: &str| other(path, what, remedy);
    if head.is_empty() {
        return error("an empty file", "download it again");
    }
    if let Some((_, what, remedy)) = BEGINNINGS.iter().find(|it| head.starts_with(it.0)) {
        return error(what, remedy);
    }
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if ["<!doctype", "<html", "<head", "<?xml", "<!--"].iter().any(|it| text.starts_with(it)) {
        let remedy =
            "the address leads to a page about the file; download the file (`resolve` in place of `blob`)";
        return error("a web page", remedy);
    }
    if text.starts_with("{\"error\"") {
        return error("a server's error message", DOWNLOAD);
    }
    None
}

fn by_name(path: &Path, head: &[u8]) -> Option<Error> {
    let error = |what: &str, remedy: &str| other(path, what, remedy);
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if UNFINISHED.contains(&&*extension) {
        return error("an unfinished download by its name", "let the download end, or start it again");
    }
    if extension == "json" {
        return error("a JSON file, which has no weights", "give its folder");
    }
    if is_piece(path) {
        let remedy = "join all pieces in order with `cat`, and give the result";
        return error("by its name one piece of a file that was cut up", remedy);
    }
    if extension != "safetensors" && is_safetensors(head) {
        return error("a safetensors file without that extension", "rename it, or give its folder");
    }
    None
}

/// Whether the name is that of a piece, such as `x.gguf.part1of2` or `x.gguf-split-a`.
fn is_piece(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    ["gguf", "safetensors"].iter().any(|kind| {
        name.split_once(&format!(".{kind}")).is_some_and(|(_, rest)| {
            let rest = rest.trim_start_matches(['.', '-', '_']);
            rest.starts_with("part") || rest.starts_with("split")
        })
    })
}

fn is_safetensors(head: &[u8]) -> bool {
    let length = head.first_chunk().map(|it| u64::from_le_bytes(*it));
    length.is_some_and(|it| it < 1 << 27) && head.get(8) == Some(&b'{')
}

/// The error for a folder without safetensors files, by the files that it has.
pub(crate) fn recognize_folder(folder: &Path) -> Option<Error> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|it| it.path()).collect();
    names.sort();
    let of = |kinds: &[&str]| -> Vec<String> {
        let kind = |it: &&PathBuf| it.extension().is_some_and(|it| kinds.iter().any(|kind| it == *kind));
        names
            .iter()
            .filter(kind)
            .filter_map(|it| Some(it.file_name()?.to_string_lossy().into_owned()))
            .collect()
    };
    let list =
        |names: &[String]| names.iter().take(8).map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let error =
        |what: String, remedy: String| Some(Error::OtherKind { path: folder.to_owned(), what, remedy });
    let (gguf, other, pytorch) = (of(&["gguf"]), of(&["safetensors"]), of(&["bin", "pt", "pth", "ckpt"]));
    if !other.is_empty() && other.iter().any(|it| it.starts_with("adapter_")) {
        let remedy = "merge it into its base model first, for example with `merge_and_unload` of peft";
        return error(
            "a folder with an adapter (LoRA), which is no whole model".to_owned(),
            remedy.to_owned(),
        );
    }
    if !gguf.is_empty() {
        return error(format!("a folder with GGUF files: {}", list(&gguf)), "give one of them".to_owned());
    }
    if !other.is_empty() {
        let what = format!("a folder whose safetensors files have other names: {}", list(&other));
        return error(what, "give one of them, or rename it to `model.safetensors`".to_owned());
    }
    if !pytorch.is_empty() {
        let what = format!("a folder with weights in PyTorch's format only: {}", list(&pytorch));
        return error(what, PYTORCH.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognized_by_their_beginning_or_name() {
        let folder = tempfile::tempdir().unwrap();
        let message = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            recognize(&path).map(|it| it.to_string()).unwrap_or_default()
        };
        let pointer = b"version https://git-lfs.example/spec/v1\noid sha256:00\nsize 12\n";
        for (name, bytes, part) in [
            ("a.gguf", &pointer[..], "git lfs pull"),
            ("b.gguf", b"  <!DOCTYPE html><html>", "a web page"),
            ("c.safetensors", b"\xef\xbb\xbf<HTML>", "a web page"),
            ("d.bin", b"PK\x03\x04....", "safe_serialization"),
            ("e.gguf", b"", "an empty file"),
            ("f.gguf", b"tjgg\x03\0\0\0", "the format before GGUF"),
            ("g.gguf.part2of2", b"\x01\x02\x03\x04", "one piece"),
            ("h.gguf-split-b", b"\x01\x02\x03\x04", "one piece"),
            ("i.gguf.crdownload", b"\x01\x02\x03\x04", "unfinished"),
            ("config.json", b"{}", "give its folder"),
            ("j.bin", b"\x02\0\0\0\0\0\0\0{}", "safetensors file without"),
            ("k.gguf", b"Entry not found", "does not exist"),
        ] {
            let message = message(name, bytes);
            assert!(message.contains(part) && message.contains(name), "{name}: {message}");
        }
        assert!(message("l.safetensors", b"GGUF\x03\0\0\0").contains(".gguf"));
        assert_eq!(message("m.gguf", b"\x01\x02\x03\x04"), "");
    }

    #[test]
    fn folders_are_recognized_by_their_files() {
        for (name, part) in [
            ("pytorch_model.bin", "PyTorch's format only"),
            ("weights.gguf", "`weights.gguf`"),
            ("consolidated.safetensors", "other names"),
            ("adapter_model.safetensors", "adapter"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            assert!(recognize_folder(folder.path()).is_none());
            std::fs::write(folder.path().join(name), b"x").unwrap();
            let message = recognize_folder(folder.path()).unwrap().to_string();
            assert!(message.contains(part), "{name}: {message}");
        }
    }
}
