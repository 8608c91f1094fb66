//! A tiny model of each family, as GGUF and as safetensors. Both containers give the same checkpoint, and the converter
//! writes the same file as llama.cpp's.

use std::path::PathBuf;

use ridgeline_quant::Format;
use ridgeline_weights::{Checkpoint, Container, Error, RopePairing, TensorInfo, convert, write_gguf};

fn data(model: &str, file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../model/tests/data", model, file].iter().collect()
}

const MODELS: [&str; 5] = ["llama", "llama-mha-tied", "mistral", "qwen2", "qwen3"];

/// Models of the Llama family, whose Q and K rows llama.cpp permutes.
fn permuted(model: &str) -> bool {
    !model.starts_with("qwen")
}

fn both(model: &str) -> (Checkpoint, Checkpoint) {
    let gguf = Checkpoint::open(&data(model, "model.gguf")).unwrap();
    let folder = Checkpoint::open(&data(model, "")).unwrap();
    (gguf, folder)
}

#[test]
fn both_containers_have_the_same_directory() {
    for model in MODELS {
        let (gguf, hf) = both(model);
        assert_eq!((gguf.container(), hf.container()), (Container::Gguf, Container::Safetensors));
        let list = |it: &Checkpoint| {
            let tensors = it.tensors().filter(|it| it.name != "rope_freqs.weight");
            let mut list: Vec<_> =
                tensors.map(|it| (it.name.to_owned(), it.shape.to_vec(), it.bytes)).collect();
            list.sort();
            list
        };
        assert_eq!(list(&gguf), list(&hf), "{model}");
        assert_eq!(gguf.tied_head(), hf.tied_head());
        assert_eq!(gguf.tied_head(), !["llama", "mistral"].contains(&model));
        let pairing = if permuted(model) { RopePairing::Interleaved } else { RopePairing::HalfSplit };
        assert_eq!(gguf.rope_pairing().unwrap(), pairing);
        assert_eq!(hf.rope_pairing().unwrap(), RopePairing::HalfSplit);
    }
}

#[test]
fn both_containers_have_the_same_metadata() {
    for model in MODELS {
        let (gguf, hf) = both(model);
        let family = if permuted(model) { "llama" } else { model };
        let prefix = format!("{family}.");
        let model_keys: Vec<_> = gguf.metadata().iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
        assert!(model_keys.len() > 10, "{model}");
        for (key, value) in model_keys {
            assert_eq!(hf.metadata().value(key), Some(value), "{model}: {key}");
        }
        assert_eq!(hf.metadata().str("general.architecture").unwrap(), family);
    }
}

#[test]
fn a_safetensors_file_opens_like_its_folder() {
    let file = Checkpoint::open(&data("llama", "model.safetensors")).unwrap();
    assert_eq!(file.tensors().count(), 30);
    assert_eq!(file.file_bytes(), 783_112);
    assert!(file.tokenizer_json().unwrap().ends_with("tokenizer.json"));
}

#[test]
fn llama3_divisors_from_parameters_equal_the_tensor() {
    let (gguf, hf) = both("llama");
    let (stored, computed) =
        (gguf.rope_freq_factors().unwrap().unwrap(), hf.rope_freq_factors().unwrap().unwrap());
    assert_eq!(stored.len(), 8);
    // The parameters must have an effect: some frequencies are divided and some are not.
    assert!(stored.iter().any(|&it| it > 2.0) && stored.contains(&1.0));
    for (stored, computed) in stored.iter().zip(&computed) {
        assert!((stored - computed).abs() <= 1e-6 * stored, "{stored} {computed}");
    }
    assert!(both("mistral").1.rope_freq_factors().unwrap().is_none());
}

#[test]
fn unpermuted_tensors_are_byte_identical_and_q_is_permuted() {
    for model in MODELS {
        let (gguf, hf) = both(model);
        for TensorInfo { name, .. } in hf.tensors() {
            let (ours, theirs) = (hf.tensor(name).unwrap(), gguf.tensor(name).unwrap());
            let rotary = name.contains("attn_q") || name.contains("attn_k");
            assert_eq!(ours.bytes == theirs.bytes, !(rotary && permuted(model)), "{model}: {name}");
        }
    }
}

#[test]
fn converting_gives_llama_cpps_file() {
    let out = tempfile::tempdir().unwrap();
    for model in MODELS {
        let (gguf, hf) = both(model);
        let path = out.path().join(format!("{model}.gguf"));
        convert(&hf, &path, Format::SINGLE).unwrap();
        let ours = Checkpoint::open(&path).unwrap();
        assert_eq!(ours.tensors().count(), gguf.tensors().count());
        for TensorInfo { name, shape, .. } in gguf.tensors() {
            let (ours, theirs) = (ours.expect(name, shape).unwrap(), gguf.tensor(name).unwrap());
            assert!(ours.format == theirs.format, "{model}: {name}");
            if name == "rope_freqs.weight" {
                continue; // compared above, to a tolerance
            }
            assert!(ours.bytes == theirs.bytes, "{model}: {name}");
        }
        for (key, value) in gguf.metadata().iter() {
            // The converters take these labels from the folder's name and the number of parameters.
            if key != "general.name" && key != "general.size_label" {
                assert_eq!(ours.metadata().value(key), Some(value), "{model}: {key}");
            }
        }
    }
}

#[test]
fn converting_gguf_to_gguf_keeps_everything() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("again.gguf");
    let (gguf, _) = both("llama");
    write_gguf(&gguf, &path, |it| it.format).unwrap();
    let again = Checkpoint::open(&path).unwrap();
    for TensorInfo { name, .. } in gguf.tensors() {
        assert!(again.tensor(name).unwrap().bytes == gguf.tensor(name).unwrap().bytes, "{name}");
    }
    assert!(again.metadata().iter().eq(gguf.metadata().iter()));
    let left: Vec<_> = out.path().read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["again.gguf"]);
}

#[test]
fn every_format_can_be_written_and_read_back() {
    let out = tempfile::tempdir().unwrap();
    let (_, hf) = both("mistral");
    for &format in Format::ALL.iter().filter(|it| it.spec().encode.is_some()) {
        let path = out.path().join("model.gguf");
        convert(&hf, &path, format).unwrap();
        let converted = Checkpoint::open(&path).unwrap();
        assert_eq!(converted.tensor("output_norm.weight").unwrap().format, Format::SINGLE);
        let (ours, source) =
            (converted.tensor("output.weight").unwrap(), hf.tensor("output.weight").unwrap());
        // Rows that do not fill the blocks of the format stay in half precision.
        let spec = format.spec();
        let fits = source.shape[1].is_multiple_of(spec.block_len);
        assert_eq!(ours.format, if fits { format } else { Format::HALF });
        let (ours, source) = (ours.to_f32(), source.to_f32());
        let norm = |it: &mut dyn Iterator<Item = f32>| it.map(|it| f64::from(it * it)).sum::<f64>().sqrt();
        let distance = norm(&mut ours.iter().zip(&source).map(|(a, b)| a - b));
        // The limit is 1 % at 8 bits per weight, and doubles with each bit less.
        let bits = 8.0 * spec.block_bytes as f64 / spec.block_len as f64;
        let limit = 0.01 * 2.0_f64.powf((8.5 - bits).max(0.0));
        assert!(distance <= limit * norm(&mut source.iter().copied()), "{format}: {distance}");
    }
}

#[test]
fn wanting_a_missing_or_misshapen_tensor_is_an_error_that_names_it() {
    let (gguf, _) = both("llama");
    let error = gguf.tensor("blk.9.attn_q.weight").unwrap_err();
    assert!(matches!(&error, Error::MissingTensor { tensor, .. } if tensor == "blk.9.attn_q.weight"));
    assert!(error.to_string().contains("model.gguf"), "{error}");
    let error = gguf.expect("output.weight", &[64, 512]).unwrap_err();
    assert!(
        error.to_string().ends_with("`output.weight` has shape [512, 64], expected [64, 512]"),
        "{error}"
    );
}
