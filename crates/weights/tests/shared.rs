//! Models and vocabularies that are too large to commit: the files are equal to those of llama.cpp's converter and
//! quantizer, and every file opens. Without the data, the tests are ignored; on CI they fail. `RIDGELINE_SHARED` is the
//! folder of the data.

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use ridgeline_quant::{Format, Mix, Rounding};
use ridgeline_weights::{Checkpoint, Error, formats, quantize};
use serde_json::Value as Json;

type Outcome = Result<(), Failed>;
type Test = fn(&Path) -> Outcome;

fn main() {
    let folder = std::env::var_os("RIDGELINE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let missing = !folder.join("models").is_dir();
    let on_ci = std::env::var("CI").is_ok_and(|it| it == "true");
    let tests: [(&str, Test); 6] = [
        ("mixes_assign_the_types_of_llama_cpp", mixes_assign_the_types_of_llama_cpp),
        ("metadata_are_carried_over", metadata_are_carried_over),
        ("converting_equals_llama_cpp", converting_equals_llama_cpp),
        ("formats_that_are_not_supported_are_named", formats_that_are_not_supported_are_named),
        ("vocabularies_open_without_a_model", vocabularies_open_without_a_model),
        ("the_shipped_pair_is_what_the_converter_makes", the_shipped_pair_is_what_the_converter_makes),
    ];
    let trials = tests.map(|(name, test)| {
        let folder = folder.clone();
        Trial::test(name, move || {
            if missing {
                Err(format!("there is no test data at {}", folder.display()).into())
            } else {
                test(&folder)
            }
        })
        .with_ignored_flag(missing && !on_ci)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

/// Compares every tensor; its bytes too, if the encoder rounds like ggml's.
fn same_tensors(ours: &Checkpoint, theirs: &Checkpoint) -> Outcome {
    if ours.tensors().count() != theirs.tensors().count() {
        return Err("the two have different numbers of tensors".into());
    }
    for info in theirs.tensors() {
        let (ours, theirs) = (ours.expect(info.name, info.shape)?, theirs.tensor(info.name)?);
        let searched = theirs.format.spec().rounding == Rounding::Search;
        if ours.format != theirs.format || !searched && ours.bytes != theirs.bytes {
            return Err(format!("{} differs ({} and {})", info.name, ours.format, theirs.format).into());
        }
    }
    Ok(())
}

/// Every tensor has llama.cpp's type, and its bytes if the encoder rounds like ggml's. The metadata are equal except
/// for labels.
fn converting_equals_llama_cpp(shared: &Path) -> Outcome {
    let out = tempfile::tempdir()?;
    let mut compared = 0;
    for model in ["target", "draft"] {
        let source = Checkpoint::open(&shared.join("models").join(model))?;
        for mix in Mix::ALL {
            let name = format!("{model}-{}.gguf", mix.name.to_lowercase());
            let reference = shared.join("models").join(&name);
            if !reference.is_file() {
                continue;
            }
            let path = out.path().join(&name);
            quantize(&source, &path, mix, false, |_| {})?;
            let (ours, theirs) = (Checkpoint::open(&path)?, Checkpoint::open(&reference)?);
            same_tensors(&ours, &theirs)?;
            for (key, value) in theirs.metadata().iter() {
                let label = key == "general.name" || key == "general.size_label";
                if !label && ours.metadata().value(key) != Some(value) {
                    return Err(format!("{name}: metadata `{key}` differs").into());
                }
            }
            compared += 1;
        }
    }
    assert!(compared >= 8, "only {compared} files were compared");
    Ok(())
}

/// The number of tensors of each type in the target, for every mix, as in llama.cpp's quantizer.
fn mixes_assign_the_types_of_llama_cpp(shared: &Path) -> Outcome {
    let golden: Json = serde_json::from_slice(&std::fs::read(shared.join("models/golden.json"))?)?;
    let rows = golden["perplexity"].as_array().ok_or("golden.json has no perplexities")?;
    let mut compared = 0;
    for row in rows {
        let (Some(model), Some(name)) = (row["model"].as_str(), row["format"].as_str()) else { continue };
        let (Some(mix), Some(types)) = (Mix::from_name(name), row["tensor_types"].as_object()) else {
            continue;
        };
        let source = Checkpoint::open(&shared.join("models").join(model))?;
        let formats = formats(&source, mix, false)?;
        let mut counts = std::collections::BTreeMap::new();
        for format in formats.values() {
            *counts.entry(format.spec().name.to_owned()).or_insert(0_u64) += 1;
        }
        let theirs = types.iter().map(|(name, n)| (name.clone(), n.as_u64().unwrap_or(0))).collect();
        if counts != theirs {
            return Err(format!("{model} {name}: {counts:?}, llama.cpp has {theirs:?}").into());
        }
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} mixes were compared");
    Ok(())
}

/// Quantizing a GGUF file of half precision keeps its metadata unchanged.
fn metadata_are_carried_over(shared: &Path) -> Outcome {
    let out = tempfile::tempdir()?;
    let source = Checkpoint::open(&shared.join("models/target-f16.gguf"))?;
    for mix in Mix::ALL {
        let path = out.path().join(mix.name);
        quantize(&source, &path, mix, true, |_| {})?;
        let ours = Checkpoint::open(&path)?;
        for (key, value) in source.metadata().iter() {
            let kept = ours.metadata().value(key) == Some(value);
            assert!(kept || key == "general.file_type", "{mix}: {key} changed");
        }
        assert_eq!(ours.metadata().u32("general.file_type")?, mix.gguf_file_type);
        assert_eq!(ours.metadata().u32("general.quantization_version")?, 2);
    }
    Ok(())
}

fn formats_that_are_not_supported_are_named(shared: &Path) -> Outcome {
    for entry in std::fs::read_dir(shared.join("models"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != "gguf") {
            continue;
        }
        match Checkpoint::open(&path) {
            Ok(it) => assert!(it.tensors().count() > 10),
            Err(Error::UnsupportedFormat { tensor, format, .. }) => {
                assert!(tensor.ends_with(".weight") && Format::from_name(&format).is_none());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn vocabularies_open_without_a_model(shared: &Path) -> Outcome {
    let mut found = 0;
    for entry in std::fs::read_dir(shared.join("tokenizers"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "gguf") {
            let checkpoint = Checkpoint::open(&path)?;
            assert_eq!(checkpoint.tensors().count(), 0);
            let n_tokens = checkpoint.metadata().strs("tokenizer.ggml.tokens")?.len();
            assert!(n_tokens > 1000, "{} has {n_tokens} tokens", path.display());
            found += 1;
        }
    }
    assert!(found >= 6);
    Ok(())
}

fn the_shipped_pair_is_what_the_converter_makes(shared: &Path) -> Outcome {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny");
    for model in ["target", "draft"] {
        let theirs = Checkpoint::open(&shared.join("models").join(format!("{model}-f16.gguf")))?;
        same_tensors(&Checkpoint::open(&tiny.join(format!("{model}.gguf")))?, &theirs)?;
    }
    Ok(())
}
