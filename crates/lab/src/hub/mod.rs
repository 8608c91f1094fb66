//! Models of the Hugging Face Hub on the command line: llama.cpp's `-hf user/model[:quant]` in place of `-m`.
//!
//! `-hf NAME` becomes `-m hf:NAME`, which means the model in the cache. It is fetched after the command line is parsed and
//! before the command runs. So every command that takes `-m` takes `-hf`, and nothing is fetched without a flag.

#[cfg(feature = "fetch")]
mod progress;

use crate::globals::{Globals, UsageError};
use ridgeline_hub::{Fetched, Name};
use ridgeline_measure::models::{self, HUB};
use std::ffi::{OsStr, OsString};

/// Flags whose value is a model of the Hub, and the flag of the model.
const REPOSITORIES: &[(&str, &str)] = &[
    ("-hf", "--model"),
    ("-hfr", "--model"),
    ("--hf-repo", "--model"),
    ("-hfd", "--model-draft"),
    ("-hfrd", "--model-draft"),
    ("--hf-repo-draft", "--model-draft"),
];

/// Flags whose value is a file of the repository of `-hf`.
const FILES: &[&str] = &["-hff", "--hf-file"];

/// Flags whose value is a secret.
const SECRETS: &[&str] = &["-hft", "--hf-token"];

/// `argv` with `-hf NAME` replaced by `--model hf:NAME`, and the names. Nothing after `--` is touched.
///
/// # Errors
/// A flag has no value, or `-hff` has no `-hf` before it.
pub(crate) fn expand(argv: Vec<OsString>) -> Result<(Vec<OsString>, Vec<String>), UsageError> {
    let (mut expanded, mut names) = (Vec::new(), Vec::<String>::new());
    // Where the model of the latest -hf is in `expanded`.
    let mut latest = None;
    let mut rest = argv.into_iter();
    while let Some(arg) = rest.next() {
        if arg == OsStr::new("--") {
            expanded.push(arg);
            expanded.extend(rest);
            break;
        }
        let (flag, value) = split(&arg);
        let model = REPOSITORIES.iter().find(|(it, _)| *it == flag).map(|(_, model)| *model);
        if model.is_none() && !FILES.contains(&flag) {
            expanded.push(arg);
            continue;
        }
        let value = value.map(str::to_owned).or_else(|| rest.next()?.into_string().ok());
        // The next flag is no value.
        let value = value.filter(|it| !it.starts_with('-'));
        let value = value.ok_or_else(|| {
            UsageError(format!("{flag} has no value: write user/model or user/model:QUANT after it"))
        })?;
        if let Some(model) = model {
            // llama-bench separates several models with commas.
            let several: Vec<String> = value.split(',').map(|it| format!("{HUB}{it}")).collect();
            names.extend(value.split(',').map(str::to_owned));
            expanded.extend([model.into(), several.join(",").into()]);
            latest = Some(expanded.len() - 1);
        } else {
            let missing = || UsageError(format!("{flag} {value} has no -hf user/model before it"));
            let (at, name) = latest.take().zip(names.last_mut()).ok_or_else(missing)?;
            *name = format!("{}:{value}", name.split(':').next().unwrap_or_default());
            expanded[at] = format!("{HUB}{name}").into();
        }
    }
    Ok((expanded, names))
}

/// A flag, and the value after its `=` where it is a long one.
fn split(arg: &OsStr) -> (&str, Option<&str>) {
    let text = arg.to_str().unwrap_or_default();
    match text.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
        _ => (text, None),
    }
}

/// The arguments of this process for records, without secrets.
pub(crate) fn recorded(argv: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut hide = false;
    let shown = argv.map(|arg| {
        let (flag, value) = split(&arg);
        let secret = SECRETS.contains(&flag);
        let shown = match value {
            _ if hide => "…".to_owned(),
            Some(_) if secret => format!("{flag}=…"),
            _ => arg.to_string_lossy().into_owned(),
        };
        hide = secret && value.is_none();
        shown
    });
    shown.collect()
}

/// Fetches models in their order.
///
/// # Errors
/// A name is wrong, or a model cannot be fetched.
pub(crate) fn fetch_all(names: &[String], globals: &Globals) -> anyhow::Result<()> {
    let names = names.iter().map(|it| it.parse()).collect::<Result<Vec<Name>, _>>()?;
    names.iter().try_for_each(|it| fetch(it, globals).map(drop))
}

/// Fetches a model, and prints the progress on stderr.
///
/// # Errors
/// It cannot be fetched.
#[cfg(feature = "fetch")]
pub(crate) fn fetch(name: &Name, globals: &Globals) -> anyhow::Result<Fetched> {
    progress::fetch(name, globals)
}

/// This build has no network code: the model must be in the cache.
///
/// # Errors
/// It is not in the cache.
#[cfg(not(feature = "fetch"))]
pub(crate) fn fetch(name: &Name, _: &Globals) -> anyhow::Result<Fetched> {
    let found = ridgeline_hub::local(name).map_err(|error| {
        UsageError(format!(
            "{error}; this build cannot fetch, because it was built without the feature `fetch`"
        ))
    })?;
    Ok(Fetched { found, commit: None, files: Vec::new() })
}

/// The name of a model with its published weights. The shapes of `models/*.toml` are fetched; other names are unchanged.
///
/// # Errors
/// The shape is not published, is in another size, or cannot be fetched; a file has another checksum than the shape names.
pub(crate) fn published(name: &str, globals: &Globals) -> anyhow::Result<String> {
    if name.starts_with(models::SHAPE) {
        return Err(UsageError(format!(
            "{name} has random weights by its name; leave out {} or --weights real",
            models::SHAPE
        ))
        .into());
    }
    let Some(shape) = models::shape(name)? else { return Ok(name.to_owned()) };
    let (base, quantization) = models::split_quantization(name);
    if base.contains('@') || shape.repo.is_empty() {
        let what = if shape.repo.is_empty() { "is not published" } else { "is not published in this size" };
        return Err(UsageError(format!(
            "{name} {what}: it exists with random weights only; leave out --weights real"
        ))
        .into());
    }
    let at = if shape.revision.is_empty() { String::new() } else { format!("@{}", shape.revision) };
    let of_folder = |it: &str| if it.ends_with(".gguf") { format!(":{it}") } else { String::new() };
    let repository = format!("{}{at}{}", shape.repo, of_folder(&shape.file));
    let fetched = fetch(&repository.parse()?, globals)?;
    let file = fetched.files.iter().find(|it| it.file == shape.file);
    if let Some(found) =
        file.and_then(|it| it.checksum.as_ref()).filter(|it| !shape.sha256.is_empty() && **it != shape.sha256)
    {
        anyhow::bail!(
            "{repository}: {} has the checksum {found}, and models/{base}.toml says {}",
            shape.file,
            shape.sha256
        );
    }
    let suffix = quantization.map(|it| format!(":{it}")).unwrap_or_default();
    Ok(format!("{HUB}{repository}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::{OsString, expand, recorded};

    fn expanded(line: &str) -> Result<(String, String), String> {
        let (argv, names) = expand(line.split(' ').map(OsString::from).collect()).map_err(|it| it.0)?;
        let argv: Vec<String> = argv.into_iter().map(|it| it.into_string().expect("ASCII")).collect();
        Ok((argv.join(" "), names.join(" ")))
    }

    #[test]
    fn a_repository_becomes_a_model() {
        let is = |line: &str, argv: &str, names: &str| {
            assert_eq!(expanded(line), Ok((argv.to_owned(), names.to_owned())), "{line}");
        };
        is("r bench -hf a/b -p 1", "r bench --model hf:a/b -p 1", "a/b");
        is(
            "r bench -hf a/b:q8_0,c/d -hf e/f",
            "r bench --model hf:a/b:q8_0,hf:c/d --model hf:e/f",
            "a/b:q8_0 c/d e/f",
        );
        is("r run --hf-repo=a/b", "r run --model hf:a/b", "a/b");
        is("r run -hfr a/b:q4_0 -hff x/c.gguf", "r run --model hf:a/b:x/c.gguf", "a/b:x/c.gguf");
        is("r speculate -hf a/b -hfd c/d", "r speculate --model hf:a/b --model-draft hf:c/d", "a/b c/d");
        is("r run -m x -- -hf a/b", "r run -m x -- -hf a/b", "");
        for (line, part) in
            [("r run -hf", "no value"), ("r run -m x -hff c.gguf", "no -hf"), ("r run -hf -p x", "no value")]
        {
            assert!(expanded(line).expect_err(line).contains(part), "{line}");
        }
    }

    #[test]
    fn a_token_is_not_recorded() {
        let line = "r bench-all -hft secret --hf-token secret --hf-token=secret -hf a/b";
        let shown = recorded(line.split(' ').map(OsString::from)).join(" ");
        assert_eq!(shown, "r bench-all -hft … --hf-token … --hf-token=… -hf a/b");
    }
}
