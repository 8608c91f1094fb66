//! Which files of a repository make up a model: one GGUF file with all its parts, or a safetensors folder.

use crate::{Error, Name};
use ridgeline_quant::Mix;

/// llama.cpp's number (`llama_ftype`) of the mix that it prefers, of 4 bits.
const PREFERRED: u32 = 15;

/// The files of a model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selected<'a> {
    /// A GGUF file: all parts of it, the first part first.
    Gguf(Vec<&'a str>),
    /// A folder, with the weights last, so that a folder with weights is complete.
    Folder(Vec<&'a str>),
}

#[cfg(any(feature = "net", test))]
impl<'a> Selected<'a> {
    /// The files.
    pub(crate) fn files(&self) -> &[&'a str] {
        match self {
            Self::Gguf(files) | Self::Folder(files) => files,
        }
    }
}

/// Chooses among the files of a repository, as llama.cpp does: the quantization of the name, else the preferred one, else the first.
/// A repository without GGUF files is a folder.
pub(crate) fn select<'a>(name: &Name, files: &[&'a str]) -> Result<Selected<'a>, Error> {
    let mut files = files.to_vec();
    files.sort_unstable();
    let ggufs: Vec<&str> = files.iter().copied().filter(|it| is_model(it)).collect();
    let selection = name.selection.as_deref();
    if ggufs.is_empty() || selection.is_some_and(is_safetensors) {
        return folder(name, &files).map(Selected::Folder);
    }
    let find = |quant: &str| ggufs.iter().find(|it| has_quant(it, quant)).copied();
    let preferred = Mix::ALL.iter().find(|it| it.gguf_file_type == PREFERRED).map(|it| it.name);
    let first = match selection {
        Some(file) if is_gguf(file) => files.iter().find(|it| **it == file).copied(),
        Some(quant) => find(quant),
        None => preferred.and_then(find).or(Some(ggufs[0])),
    };
    let Some(first) = first else {
        let (repo, selection) = (name.repo.clone(), selection.unwrap_or_default().to_owned());
        return Err(Error::NoFile { repo, selection, files: ggufs.join(", ") });
    };
    let missing = |file| Error::NoPart { repo: name.repo.clone(), file };
    let parts = parts(first)
        .into_iter()
        .map(|part| files.iter().find(|it| **it == part).copied().ok_or_else(|| missing(part)));
    parts.collect::<Result<_, _>>().map(Selected::Gguf)
}

/// The files of a safetensors folder: what describes the model and its vocabulary, then the weights.
fn folder<'a>(name: &Name, files: &[&'a str]) -> Result<Vec<&'a str>, Error> {
    let wrong = |problem: String| Error::NoWeights { repo: name.repo.clone(), problem };
    let top: Vec<&str> = files.iter().copied().filter(|it| !it.contains('/')).collect();
    let named = |file: &str| top.contains(&file);
    // As the reader of folders: one file, else the shards of an index, else all shards.
    let single = "model.safetensors";
    let weights: Vec<&str> = if named(single) {
        vec![top[top.iter().position(|it| *it == single).unwrap_or_default()]]
    } else {
        let all = top.iter().copied().filter(|it| is_safetensors(it));
        let (model, other): (Vec<_>, Vec<_>) = all.partition(|it| it.starts_with("model-"));
        if model.is_empty() { other } else { model }
    };
    if weights.is_empty() {
        let found = files
            .iter()
            .filter(|it| [".bin", ".pt", ".pth", ".h5", ".onnx"].iter().any(|end| it.ends_with(end)));
        let found: Vec<&str> = found.copied().take(3).collect();
        let problem = "it has neither GGUF nor safetensors files";
        return Err(wrong(match &found[..] {
            [] => problem.to_owned(),
            _ => format!("{problem}, but {}", found.join(", ")),
        }));
    }
    if !named("config.json") {
        return Err(wrong("it has safetensors files and no config.json".to_owned()));
    }
    let selection = name.selection.as_deref().filter(|it| is_safetensors(it));
    if let Some(selection) = selection.filter(|it| !weights.contains(it)) {
        let (repo, selection) = (name.repo.clone(), selection.to_owned());
        return Err(Error::NoFile { repo, selection, files: weights.join(", ") });
    }
    let described = top.iter().copied().filter(|it| describes(it, !named(single)));
    Ok(described.chain(weights).collect())
}

/// Whether a file describes a model or its vocabulary. Other indexes than that of the weights are of other copies of them.
fn describes(file: &str, has_shards: bool) -> bool {
    if file.ends_with(".index.json") {
        return has_shards && file == "model.safetensors.index.json";
    }
    file.ends_with(".json") || file.ends_with(".jinja") || file == "tokenizer.model"
}

fn is_gguf(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(".gguf")
}

fn is_safetensors(file: &str) -> bool {
    file.ends_with(".safetensors")
}

/// Whether a file is the language model of a repository, and its first part: no projector, no importance matrix.
fn is_model(file: &str) -> bool {
    let base = file.rsplit('/').next().unwrap_or(file).to_ascii_lowercase();
    let later_part = split(file).is_some_and(|(_, number, _)| number != 1);
    is_gguf(file) && !later_part && !["mmproj", "imatrix"].iter().any(|it| base.contains(it))
}

/// Whether a file's name has the quantization as a word: `Q4_K` is in `a-Q4_K.gguf` and not in `a-Q4_K_M.gguf`.
fn has_quant(file: &str, quant: &str) -> bool {
    let (file, quant) = (file.to_ascii_uppercase(), quant.to_ascii_uppercase());
    file.match_indices(&quant).any(|(at, _)| {
        let before = file[..at].chars().next_back();
        file[at + quant.len()..].starts_with(['.', '-', '/'])
            && !before.is_some_and(|it| it.is_ascii_alphanumeric())
    })
}

/// The name of a part of a split GGUF file before its number, its number, and the number of parts.
fn split(file: &str) -> Option<(&str, u32, u32)> {
    let base = file.get(..file.len().checked_sub(".gguf".len())?).filter(|_| is_gguf(file))?;
    let (rest, count) = base.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let digits = |it: &str| (it.len() == 5).then(|| it.parse::<u32>().ok()).flatten();
    Some((stem, digits(number)?, digits(count)?))
}

/// Names of all parts of a file.
fn parts(file: &str) -> Vec<String> {
    let end = &file[file.len() - ".gguf".len()..];
    match split(file) {
        Some((stem, _, count)) => (1..=count).map(|i| format!("{stem}-{i:05}-of-{count:05}{end}")).collect(),
        None => vec![file.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(name: &str, files: &[&str]) -> Result<Vec<String>, Error> {
        let name: Name = name.parse().expect("a name");
        select(&name, files).map(|it| it.files().iter().map(|&it| it.to_owned()).collect())
    }

    const GGUFS: &[&str] = &[
        "README.md",
        "mmproj-model-Q4_K_M.gguf",
        "m-BF16.gguf",
        "m-Q2_K.gguf",
        "m-Q4_K_M.gguf",
        "m-Q8_0-00002-of-00002.gguf",
        "m-Q8_0-00001-of-00002.gguf",
        "F32/m-F32.gguf",
    ];

    #[test]
    fn the_quantization_of_the_name_is_chosen() {
        let of = |selection| chosen(&format!("a/b{selection}"), GGUFS).expect("a file");
        assert_eq!(of(""), ["m-Q4_K_M.gguf"]);
        assert_eq!(of(":q2_k"), ["m-Q2_K.gguf"]);
        assert_eq!(of(":Q8_0"), ["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"]);
        assert_eq!(of(":m-Q8_0-00002-of-00002.gguf").len(), 2, "any part stands for all");
        assert_eq!(of(":f32"), ["F32/m-F32.gguf"]);
        assert_eq!(of(":mmproj-model-Q4_K_M.gguf"), ["mmproj-model-Q4_K_M.gguf"]);
        for none in [":F16", ":Q4_K", ":Q8", ":Q4_K_M.gguf", ":x/m-Q2_K.gguf"] {
            let error = chosen(&format!("a/b{none}"), GGUFS).expect_err(none);
            assert!(error.to_string().contains("m-Q2_K.gguf") && error.is_usage(), "{error}");
        }
    }

    #[test]
    fn without_the_preferred_quantization_the_first_is_chosen() {
        assert_eq!(chosen("a/b", &["m-Q8_0.gguf", "m-IQ2_M.gguf"]).expect("a file"), ["m-IQ2_M.gguf"]);
        // llama.cpp takes a quantization in any case.
        assert_eq!(chosen("a/b", &["m.q2_k.gguf", "m.q4_k_m.gguf"]).expect("a file"), ["m.q4_k_m.gguf"]);
    }

    #[test]
    fn a_missing_part_is_named() {
        let error = chosen("a/b", &["m-00001-of-00003.gguf", "m-00003-of-00003.gguf"]).expect_err("a part");
        assert!(error.to_string().contains("m-00002-of-00003.gguf"), "{error}");
    }

    #[test]
    fn a_folder_ends_with_its_weights() {
        let files = [
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "consolidated.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin.index.json",
            "config.json",
            "tokenizer.json",
            "onnx/model.onnx",
            "original/params.json",
            "README.md",
        ];
        let all = [
            "config.json",
            "model.safetensors.index.json",
            "tokenizer.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        ];
        assert_eq!(chosen("a/b", &files).expect("a folder"), all);
        assert_eq!(chosen("a/b:q8_0", &files).expect("the reader quantizes"), all);
        let one = ["config.json", "model.safetensors", "model-00001-of-00001.safetensors"];
        assert_eq!(chosen("a/b", &one).expect("a folder"), ["config.json", "model.safetensors"]);
        assert_eq!(chosen("a/b:model.safetensors", &one).expect("a folder").len(), 2);
        assert!(matches!(chosen("a/b:x.safetensors", &one), Err(Error::NoFile { .. })));
    }

    #[test]
    fn a_repository_without_weights_is_refused() {
        let problem = |files: &[&str]| chosen("a/b", files).expect_err("no weights").to_string();
        assert!(problem(&["config.json", "pytorch_model.bin"]).contains("but pytorch_model.bin"));
        assert!(problem(&["model.safetensors"]).contains("no config.json"));
        assert!(problem(&[]).contains("neither"));
    }
}
