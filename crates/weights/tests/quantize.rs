//! Quantization mixes on the committed tiny model: every file opens, has the size of its types, and decodes to nearly
//! the source. A weight that is not finite is an error with the tensor's name.

use std::path::{Path, PathBuf};

use ridgeline_quant::{Format, Mix};
use ridgeline_weights::{Checkpoint, Error, Progress, formats, quantize, write_gguf};

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/draft.gguf")
}

fn squared_error(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn every_mix_gives_a_file_that_opens_and_decodes_to_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&tiny()).unwrap();
    for mix in Mix::ALL {
        let path = folder.path().join(mix.name);
        let mut reported = 0;
        quantize(&source, &path, mix, false, |it: Progress<'_>| {
            assert_eq!(it.done, reported);
            reported += 1;
        })
        .unwrap();
        let ours = Checkpoint::open(&path).unwrap();
        assert_eq!(reported, ours.tensors().count());
        let wanted = formats(&source, mix, false).unwrap();
        for info in ours.tensors() {
            assert_eq!(info.format, wanted[info.name], "{mix}: {}", info.name);
            let before = source.tensor(info.name).unwrap().to_f32();
            let after = ours.tensor(info.name).unwrap().to_f32();
            let lost = squared_error(&before, &after) / squared_error(&before, &vec![0.0; before.len()]);
            // Even two bits with a scale and a minimum keep 90 % of the power.
            assert!(lost < 0.1, "{mix}: {} lost {lost}", info.name);
        }
    }
}

/// Every family, from its folder: experts are three-dimensional, and many rows are too narrow for a super-block.
#[test]
fn every_family_is_quantized_like_its_matrices() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for family in ["gemma3", "gptneox", "plm", "deepseek2", "qwen3moe", "qwen35", "qwen35moe", "smolvlm"] {
        let data = [env!("CARGO_MANIFEST_DIR"), "../model/tests/data", family].iter().collect::<PathBuf>();
        let source = Checkpoint::open(&data).unwrap();
        for mix in ["Q8_0", "Q4_K_M", "Q2_K"].map(|it| Mix::from_name(it).unwrap()) {
            quantize(&source, &path, mix, false, |_| {}).unwrap();
            let ours = Checkpoint::open(&path).unwrap();
            assert_eq!(ours.tensors().count(), source.tensors().count(), "{family}");
            for info in ours.tensors() {
                let before = source.tensor(info.name).unwrap();
                assert_eq!(info.shape, before.shape, "{family}: {}", info.name);
                // A matrix of rows has at least two of them.
                let matrix = info.shape.iter().rev().skip(1).product::<usize>() > 1;
                let kept =
                    ["ffn_gate_inp.weight", "ssm_conv1d.weight"].iter().any(|it| info.name.ends_with(it));
                assert_eq!(info.format == Format::SINGLE, !matrix || kept, "{family}: {}", info.name);
                let (before, after) = (before.to_f32(), ours.tensor(info.name).unwrap().to_f32());
                let lost = squared_error(&before, &after) / squared_error(&before, &vec![0.0; before.len()]);
                // Interleaved rows of Q and K are in another order.
                let moved =
                    family == "smolvlm" && [".attn_q.", ".attn_k."].iter().any(|it| info.name.contains(it));
                assert!(moved || lost < 0.1, "{family}: {mix}: {} lost {lost}", info.name);
            }
        }
    }
}

#[test]
fn a_pure_mix_has_one_type_for_all_matrices() {
    let source = Checkpoint::open(&tiny()).unwrap();
    for mix in Mix::ALL {
        for (name, format) in formats(&source, mix, true).unwrap() {
            let shape = source.tensor(name).unwrap().shape;
            let wanted = if shape.len() > 1 { mix.pure_format(shape[1]) } else { Format::SINGLE };
            assert_eq!(format, wanted, "{mix}: {name}");
        }
    }
}

#[test]
fn a_weight_that_is_not_finite_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.gguf");
    write_gguf(&Checkpoint::open(&tiny()).unwrap(), &path, |_| Format::SINGLE).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let source = Checkpoint::open(&path).unwrap();
    let tensors: Vec<_> = source.tensors().collect();
    let last = tensors.iter().rposition(|it| it.shape.len() == 2).unwrap();
    let (name, n) = (tensors[last].name.to_owned(), tensors[last].n_weights());
    // Tensors start aligned, and these matrices also end aligned.
    let behind: u64 = tensors[last + 1..].iter().map(|it| it.bytes.next_multiple_of(32)).sum();
    let end = bytes.len() - usize::try_from(behind).unwrap();
    drop(source);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        bytes[end - 4..end].copy_from_slice(&bad.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let source = Checkpoint::open(&path).unwrap();
        for mix in Mix::ALL.iter().filter(|it| it.base.spec().block_len > 1) {
            let error = quantize(&source, &folder.path().join("out"), mix, false, |_| {}).unwrap_err();
            assert!(
                matches!(&error, Error::NotFinite { tensor, index, .. } if *tensor == name && *index == n - 1),
                "{mix}: {error}"
            );
        }
        assert!(!folder.path().join("out").exists());
    }
}

/// llama.cpp opened the same files and generated text; `data/opened_by_llama_cpp.json` has the commands.
#[test]
fn files_are_those_that_llama_cpp_opened() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("data/opened_by_llama_cpp.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&tiny().with_file_name("target.gguf")).unwrap();
    let files = fixture["files"].as_array().unwrap();
    assert!(files.len() >= 18);
    for file in files {
        let mix: &Mix = file["type"].as_str().unwrap().parse().unwrap();
        let path = folder.path().join("model.gguf");
        quantize(&source, &path, mix, false, |_| {}).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(bytes.len() as u64, file["bytes"].as_u64().unwrap(), "{mix}");
        assert_eq!(format!("{hash:016x}"), file["fnv"].as_str().unwrap(), "{mix}");
        assert_eq!(file["tokens"].as_array().unwrap().len(), 32, "{mix}: llama.cpp generated text");
    }
}
