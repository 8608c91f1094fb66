//! Tests of the names of models.

use super::names::named;
use super::{Container, Error, Quantization, resolve};
use ridgeline_quant::Format;
use std::fs;

#[test]
fn names_are_the_files_of_the_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("tiny")).expect("a temporary folder");
    for file in ["tiny/b.gguf", "tiny/a.gguf", "tiny/notes.md", "small.toml", "README.md"] {
        fs::write(folder.path().join(file), "").expect("a file");
    }
    let names: Vec<_> = named(folder.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["small", "tiny-a", "tiny-b"]);
    assert!(named(&folder.path().join("missing")).is_empty());
}

#[test]
fn a_size_follows_the_at_sign() {
    let shape = |name| {
        let size = |it: super::Size| (it.layers, it.hidden);
        resolve(name, None).map(|it| (it.size.map(size), it.record_name()))
    };
    let sized = |name| shape(name).expect("a shape");
    assert_eq!(sized("mistral-7b@4:q8_0"), (Some((4, None)), "mistral-7b@4:q8_0".to_owned()));
    assert_eq!(sized("bench-18m@64x128"), (Some((64, Some(128))), "bench-18m@64x128".to_owned()));
    assert_eq!(sized("mistral-7b").0, None);
    let random = super::checkpoint("bench-18m@2x256", None).expect("random weights");
    let key = |key| random.metadata().u32(&format!("llama.{key}")).expect("a key");
    let keys = ["block_count", "embedding_length", "attention.head_count", "feed_forward_length"];
    assert_eq!(keys.map(key), [2, 256, 4, 1024]);
    for wrong in [
        "mistral-7b@0",
        "mistral-7b@99999999999",
        "mistral-7b@4097x64",
        "mistral-7b@x",
        "mistral-7b@2x",
        "mistral-7b@2x0",
        "mistral-7b@x64",
        "tiny-target@2",
        "shape:tiny-target@0",
        "shape:tiny-target@2x64",
    ] {
        assert!(matches!(shape(wrong), Err(Error::Size { .. })), "{wrong}");
    }
    assert!(matches!(super::checkpoint("bench-18m@2x100", None), Err(Error::Weights(_))));
}

#[test]
fn a_shape_has_random_weights_in_the_types_of_its_model() {
    let name = |text| resolve(text, None).map(|it| it.record_name()).expect("a shape");
    assert_eq!(name("shape:tiny-target@2:q4_k_m"), "shape:tiny-target@2:q4_k_m");
    let open = |name| super::checkpoint(name, None).expect("random weights");
    let (file, shape) = (open("tiny-target"), open("shape:tiny-target"));
    assert_eq!((shape.container(), shape.main_format()), (Container::Random, file.main_format()));
    assert_eq!(shape.tensors().count(), file.tensors().count());
    let cut = open("shape:tiny-target@2:q8_0");
    assert_eq!(cut.metadata().u32("llama.block_count").expect("a key"), 2);
    assert_eq!(cut.main_format(), Some(Format::Q8_0));
}

#[test]
fn a_quantization_follows_the_colon() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("m.gguf");
    fs::write(&file, "").expect("a file");
    let name = file.to_str().expect("UTF-8");
    let with = |suffix: &str, format| {
        let name = format!("{name}{suffix}");
        resolve(&name, format).map(|it| (it.quantization, it.record_name()))
    };
    let quantization = |suffix, format| with(suffix, format).expect("the file").0;
    let is = |quantization, format| matches!(quantization, Some(Quantization::Uniform(it)) if it == format);
    assert!(quantization("", None).is_none());
    assert!(is(quantization(":f16", None), Format::F16));
    assert!(is(quantization(":F16", Some(Format::F16)), Format::F16));
    assert!(is(quantization("", Some(Format::F32)), Format::F32));
    assert!(
        is(quantization(":q2_k", None), Format::Q2K),
        "a type takes precedence over a mix of the same name"
    );
    assert!(matches!(quantization(":q4_k_m", None), Some(Quantization::Mixed(it)) if it.name == "Q4_K_M"));
    assert!(matches!(with(":q99", None), Err(Error::Format { .. })));
    assert!(matches!(with(":f16", Some(Format::F32)), Err(Error::TwoFormats { .. })));
    assert!(matches!(with(":q4_k_m", Some(Format::Q4K)), Err(Error::TwoFormats { .. })));
    assert!(matches!(with(".not", None), Err(Error::NoFile { .. })));
    let shown = |suffix, format| with(suffix, format).expect("the file").1;
    assert_eq!([shown("", None), shown(":Q4_K_M", None)], ["m.gguf", "m.gguf:q4_k_m"]);
    assert_eq!(shown(":f16", None), shown("", Some(Format::F16)));
    assert!(matches!(with("@3", None), Err(Error::Size { .. })), "a file has the layers that it has");
    let unknown = resolve("nobody", None).expect_err("no such name");
    assert!(matches!(unknown, Error::Unknown { .. }) && unknown.is_usage());
}
