//! A tiny model of each family, as GGUF and as safetensors. Both containers give the same checkpoint, and the converter
//! writes the same file as llama.cpp's.

use std::path::PathBuf;

use ridgeline_quant::Format;
use ridgeline_weights::{
    Checkpoint, Container, Error, LayerKind, RopePairing, Tensor, TensorInfo, convert, write_gguf,
};

fn data(model: &str, file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../model/tests/data", model, file].iter().collect()
}

const MODELS: [&str; 12] = [
    "llama",
    "llama-mha-tied",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma3",
    "gptneox",
    "plm",
    "deepseek2",
    "qwen3moe",
    "qwen35",
    "qwen35moe",
];

/// Models of the Llama family, whose Q and K rows llama.cpp permutes.
fn permuted(model: &str) -> bool {
    model.starts_with("llama") || model == "mistral"
}

/// Models with MLA, which rotate adjacent elements in both containers.
fn latent(model: &str) -> bool {
    ["plm", "deepseek2"].contains(&model)
}

/// Fails unless the values are equal; those of a function are, to the last bits.
fn assert_same(ours: &Tensor<'_>, theirs: &Tensor<'_>, model: &str) {
    let name = ours.name;
    assert_eq!((&ours.shape, ours.format), (&theirs.shape, theirs.format), "{model}: {name}");
    if name.ends_with("ssm_a") {
        let (ours, theirs) = (ours.to_f32(), theirs.to_f32());
        assert!(
            ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs()),
            "{ours:?} {theirs:?}"
        );
        assert!(theirs.iter().all(|&it| it < 0.0), "{model}: {name}");
    } else {
        assert!(ours.bytes == theirs.bytes, "{model}: {name}");
    }
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
        let untied = ["llama", "mistral", "gptneox", "deepseek2", "qwen3moe", "qwen35moe"];
        assert_eq!(gguf.tied_head(), !untied.contains(&model));
        let pairing = |it| if it { RopePairing::Interleaved } else { RopePairing::HalfSplit };
        assert_eq!(gguf.rope_pairing().unwrap(), pairing(permuted(model) || latent(model)));
        assert_eq!(hf.rope_pairing().unwrap(), pairing(latent(model)));
        for it in [&gguf, &hf] {
            assert!(it.notes().is_empty(), "{model}: {:?}", it.notes());
            it.check().unwrap();
        }
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
        assert_eq!(hf.layer_kinds().unwrap(), gguf.layer_kinds().unwrap(), "{model}");
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
fn a_folders_tensors_are_those_of_gguf_except_for_permuted_rows() {
    for model in MODELS {
        let (gguf, hf) = both(model);
        for TensorInfo { name, .. } in hf.tensors() {
            let (ours, theirs) = (hf.tensor(name).unwrap(), gguf.tensor(name).unwrap());
            let rotary = name.contains("attn_q") || name.contains("attn_k");
            if rotary && permuted(model) {
                assert!(ours.bytes != theirs.bytes, "{model}: {name}");
            } else {
                assert_same(&ours, &theirs, model);
            }
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
            if name == "rope_freqs.weight" {
                continue; // compared above, to a tolerance
            }
            assert_same(&ours, &theirs, model);
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
fn layers_have_the_kinds_of_their_family() {
    use LayerKind::{Full, Recurrent, Windowed};
    let w = Windowed(8);
    for (model, kinds) in [
        ("llama", &[Full, Full, Full][..]),
        ("mistral-window", &[Windowed(12); 3]),
        ("gemma3", &[w, w, w, w, w, Full, w]),
        ("qwen35", &[Recurrent, Recurrent, Recurrent, Full]),
    ] {
        let folder = Checkpoint::open(&data(model, "")).unwrap();
        assert_eq!(folder.layer_kinds().unwrap(), kinds, "{model}");
    }
}

#[test]
fn the_text_part_of_a_model_that_sees_images_is_a_llama() {
    let text = Checkpoint::open(&data("smolvlm", "")).unwrap();
    assert_eq!(text.metadata().str("general.architecture").unwrap(), "llama");
    assert_eq!(text.metadata().u32("llama.embedding_length").unwrap(), 64);
    assert_eq!(text.tensors().count(), 3 + 3 * 9);
    assert!(!text.tied_head());
    let [note] = text.notes() else { panic!("{:?}", text.notes()) };
    assert!(note.contains("model.connector.modality_projection.proj.weight` and 37 more"), "{note}");
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("text.gguf");
    convert(&text, &path, Format::SINGLE).unwrap();
    assert_eq!(Checkpoint::open(&path).unwrap().tensors().count(), 30);
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
        // Rows of 64 weights do not fill the super-blocks of a K-quant.
        assert_eq!(ours.format, format.for_rows_of(source.shape[1]));
        let spec = ours.format.spec();
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
