//! Malicious and damaged files: each gives a typed error that names the file and the tensor. None panics.
//! None makes the reader allocate more than the size of the file.

mod support;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ridgeline_weights::{Checkpoint, Error};
use support::{EMBEDDING, Gguf, NORM, entry, open, open_in, open_safetensors, write_config};
use tempfile::TempDir;

fn model_gguf() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data/llama/model.gguf")).unwrap()
}

#[test]
fn the_hand_made_file_opens_while_nothing_is_wrong_with_it() {
    let mut it = Gguf::new(2);
    it.tensor("a", &[32, 2], 0, 0).tensor("b", &[32], 8, 256);
    let checkpoint = open(&it.bytes(256 + 34), "good.gguf").unwrap();
    let b = checkpoint.tensor("b").unwrap();
    assert_eq!((b.shape, b.bytes.len()), (vec![32], 34));
    assert_eq!(checkpoint.tensor("a").unwrap().shape, [2, 32]);
}

#[test]
fn a_header_cut_at_every_64th_byte_is_refused() {
    let bytes = model_gguf();
    for n in (0..13_600).step_by(64) {
        let error = open(&bytes[..n], "cut.gguf").unwrap_err();
        let truncated = matches!(error, Error::Truncated { .. } | Error::OutOfBounds { .. });
        assert!(truncated || n == 0 && matches!(error, Error::OtherKind { .. }), "{n}: {error}");
    }
    let error = open(&bytes[..bytes.len() - 1], "cut.gguf").unwrap_err();
    assert!(matches!(error, Error::OutOfBounds { tensor, .. } if tensor == "output_norm.weight"));
}

#[test]
fn what_is_not_gguf_of_a_known_version_is_refused() {
    let mut bytes = model_gguf();
    bytes[3] = b'f';
    assert!(matches!(open(&bytes, "x.gguf").unwrap_err(), Error::NotACheckpoint { .. }));
    bytes[3] = b'F';
    for version in [0, 1, 4, 77] {
        bytes[4..8].copy_from_slice(&u32::to_le_bytes(version));
        assert!(
            matches!(open(&bytes, "x.gguf").unwrap_err(), Error::Version { version: it, .. } if it == version)
        );
    }
    bytes[4..8].copy_from_slice(&u32::to_be_bytes(3));
    assert!(matches!(open(&bytes, "x.gguf").unwrap_err(), Error::BigEndian { .. }));
    assert!(matches!(
        open(b"garbage that is long enough", "x.bin").unwrap_err(),
        Error::NotACheckpoint { .. }
    ));
    assert!(matches!(Checkpoint::open(Path::new("/nowhere/x.gguf")).unwrap_err(), Error::Io { .. }));
}

#[test]
fn counts_and_lengths_beyond_the_file_are_refused() {
    for (n_tensors, n_keys) in [(1 << 60, 1), (1, 1 << 60), (u64::MAX, u64::MAX)] {
        let mut it = Gguf::new(n_tensors);
        it.n_keys = n_keys;
        assert!(matches!(it.error(), Error::Truncated { .. }));
    }
    for length in [1 << 30, 1 << 62, u64::MAX] {
        let mut it = Gguf::new(0);
        it.key("long", 8).u64(length);
        assert!(matches!(it.error(), Error::Truncated { what, .. } if what == "metadata `long`"));
        for element in [0, 4, 8, 12] {
            let mut it = Gguf::new(0);
            it.key("long", 9).u32(element).u64(length);
            assert!(matches!(it.error(), Error::Truncated { what, .. } if what == "metadata `long`"));
        }
    }
}

#[test]
fn bad_metadata_is_refused_by_key() {
    let entry = |key: &str, kind: u32, rest: &[u32]| {
        let mut it = Gguf::new(0);
        it.key(key, kind);
        rest.iter().for_each(|&word| {
            it.u32(word);
        });
        it.error()
    };
    for error in [
        entry("k", 13, &[]),
        entry("k", 9, &[13, 0, 0]),
        entry("k", 9, &[9, 1, 0, 13, 0, 0]),
        entry("general.architecture", 4, &[1]),
        entry("", 4, &[1]),
        entry("general.alignment", 6, &[32]),
    ] {
        assert!(matches!(error, Error::MetadataEntry { .. }), "{error}");
    }
    for alignment in [0, 4, 24, 33] {
        let error = entry("general.alignment", 4, &[alignment]);
        assert!(matches!(error, Error::Alignment { alignment: it, .. } if it == alignment));
    }
}

#[test]
fn bad_tensors_are_refused_by_name() {
    let one = |dims: &[u64], kind: u32, offset: u64| {
        let mut it = Gguf::new(1);
        it.tensor("blk.0.ffn_up.weight", dims, kind, offset);
        let error = it.error();
        assert!(error.to_string().contains("`blk.0.ffn_up.weight`"), "{error}");
        error
    };
    assert!(matches!(one(&[64, 2], 0, 0), Error::OutOfBounds { .. }));
    assert!(matches!(one(&[32], 0, u64::MAX - 31), Error::OutOfBounds { .. }));
    assert!(matches!(one(&[32], 0, 8), Error::TensorEntry { .. }));
    assert!(matches!(one(&[33], 8, 0), Error::TensorEntry { .. }));
    assert!(matches!(one(&[0], 0, 0), Error::TensorEntry { .. }));
    assert!(matches!(one(&[], 0, 0), Error::TensorEntry { .. }));
    assert!(matches!(one(&[1; 5], 0, 0), Error::TensorEntry { .. }));
    assert!(matches!(one(&[1 << 62, 4], 0, 0), Error::TensorEntry { .. }));
    for (kind, name) in
        [(16, "IQ2_XXS"), (40, "NVFP4"), (26, "I32"), (4, "type 4"), (u32::MAX, "type 4294967295")]
    {
        let error = one(&[256], kind, 0);
        assert!(
            matches!(&error, Error::UnsupportedFormat { format, .. } if format.contains(name)),
            "{error}"
        );
    }
}

#[test]
fn two_tensors_must_not_share_a_name_or_a_byte() {
    let mut it = Gguf::new(2);
    it.tensor("a", &[32], 0, 0).tensor("a", &[32], 0, 128);
    assert!(matches!(it.error(), Error::TensorEntry { tensor, .. } if tensor == "a"));
    let mut it = Gguf::new(2);
    it.tensor("a", &[32], 0, 32).tensor("b", &[32], 0, 0);
    assert!(matches!(it.error(), Error::Overlap { tensor, other, .. } if (&*tensor, &*other) == ("a", "b")));
}

#[test]
fn bad_safetensors_are_refused_by_tensor() {
    let good = entry(EMBEDDING, "F32", "[4, 4]", [0, 64]);
    assert!(open_safetensors(&format!("{{{good}}}"), 64).is_ok());
    for (what, second, data) in [
        ("overlap", entry(NORM, "F32", "[4]", [48, 64]), 64),
        ("same range", entry(NORM, "F32", "[4, 4]", [0, 64]), 64),
        ("gap", entry(NORM, "F32", "[4]", [80, 96]), 96),
        ("wrong size", entry(NORM, "F32", "[5]", [64, 80]), 80),
        ("backwards", entry(NORM, "F32", "[4]", [80, 64]), 80),
        ("past the end", entry(NORM, "F32", "[4]", [64, 80]), 72),
        ("overflow", entry(NORM, "F32", "[4611686018427387904, 4]", [64, 80]), 80),
        ("integers", entry(NORM, "I32", "[4]", [64, 80]), 80),
        ("unknown type", entry(NORM, "F8_X", "[4]", [64, 68]), 68),
        ("scalar", entry(NORM, "F32", "[]", [64, 68]), 68),
        ("no such place", entry("model.layers.0.visual.weight", "F32", "[4]", [64, 80]), 80),
    ] {
        let error = open_safetensors(&format!("{{{good}, {second}}}"), data).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(NORM) || text.contains(EMBEDDING) || text.contains("layers.0.visual.weight"),
            "{what}: {text}"
        );
        let typed = matches!(
            error,
            Error::TensorEntry { .. }
                | Error::OutOfBounds { .. }
                | Error::UnsupportedFormat { .. }
                | Error::UnexpectedTensor { .. }
        );
        assert!(typed, "{what}: {text}");
    }
}

#[test]
fn safetensors_that_are_not_even_json_are_refused() {
    assert!(matches!(open_safetensors("garbage", 8).unwrap_err(), Error::SafetensorsHeader { .. }));
    let folder = TempDir::new().unwrap();
    write_config(&folder);
    for bytes in [&b"1234"[..], &[0xff; 64], b"\x10\0\0\0\0\0\0\0{}"] {
        let error = open_in(&folder, bytes, "model.safetensors").unwrap_err();
        assert!(matches!(error, Error::SafetensorsHeader { .. }), "{error}");
    }
}

#[test]
fn folders_that_lack_a_part_are_refused() {
    let folder = TempDir::new().unwrap();
    let open = || Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(open(), Error::NotACheckpoint { .. }));
    std::fs::write(folder.path().join("pytorch_model.bin"), b"PK\x03\x04").unwrap();
    assert!(matches!(open(), Error::OtherKind { .. }));
    std::fs::write(folder.path().join("model.safetensors"), b"").unwrap();
    assert!(matches!(open(), Error::OtherKind { what, .. } if what.contains("empty")));
    std::fs::write(folder.path().join("model.safetensors"), b"1234").unwrap();
    assert!(matches!(open(), Error::OtherKind { what, .. } if what.contains("config.json")));
    let config = |text: &str| std::fs::write(folder.path().join("config.json"), text).unwrap();
    config("{");
    assert!(matches!(open(), Error::Json { .. }));
    config("{}");
    assert!(matches!(open(), Error::MissingKey { key, .. } if key == "model_type"));
    config(r#"{"model_type": "mamba"}"#);
    assert!(matches!(open(), Error::UnknownFamily { family, .. } if family == "mamba"));
    config(r#"{"model_type": "llama", "hidden_size": "wide"}"#);
    assert!(matches!(open(), Error::KeyType { key, .. } if key == "hidden_size"));
    config(r#"{"model_type": "llama"}"#);
    assert!(matches!(open(), Error::MissingKey { key, .. } if key == "llama.block_count"));
}

/// A folder with two shards, one tensor in each, and an index.
fn shards(weight_map: &str) -> (TempDir, Result<Checkpoint, Error>) {
    let folder = TempDir::new().unwrap();
    write_config(&folder);
    for (file, name) in [("a.safetensors", EMBEDDING), ("b.safetensors", NORM)] {
        let header = format!("{{{}}}", entry(name, "F32", "[4]", [0, 16]));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 16]);
        std::fs::write(folder.path().join(file), bytes).unwrap();
    }
    let index = format!(r#"{{"metadata": {{"total_size": 32}}, "weight_map": {weight_map}}}"#);
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let result = Checkpoint::open(folder.path());
    (folder, result)
}

#[test]
fn shards_must_agree_with_their_index() {
    let map = |a: &str, b: &str, more: &str| format!(r#"{{"{EMBEDDING}": "{a}", "{NORM}": "{b}"{more}}}"#);
    let checkpoint = shards(&map("a.safetensors", "b.safetensors", "")).1.unwrap();
    assert_eq!(checkpoint.tensor("output_norm.weight").unwrap().bytes.len(), 16);
    for (what, weight_map) in [
        ("missing shard", map("a.safetensors", "c.safetensors", "")),
        ("swapped", map("b.safetensors", "a.safetensors", "")),
        ("outside the folder", map("a.safetensors", "../b.safetensors", "")),
        ("tensor not there", map("a.safetensors", "b.safetensors", r#", "lm_head.weight": "b.safetensors""#)),
        ("tensor not listed", format!(r#"{{"{EMBEDDING}": "b.safetensors"}}"#)),
    ] {
        let error = shards(&weight_map).1.unwrap_err();
        assert!(matches!(error, Error::Shard { .. }), "{what}: {error}");
    }
    assert!(matches!(shards("7").1.unwrap_err(), Error::Json { .. }));
}

#[test]
fn an_untied_model_without_a_head_is_refused() {
    let folder = TempDir::new().unwrap();
    write_config(&folder);
    let config: PathBuf = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap().replace("true", "false");
    std::fs::write(&config, text).unwrap();
    let header = format!("{{{}}}", entry(EMBEDDING, "F32", "[4, 4]", [0, 64]));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 64]);
    let error = open_in(&folder, &bytes, "model.safetensors").unwrap_err();
    assert!(matches!(error, Error::MissingTensor { tensor, .. } if tensor == "output.weight"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Damage anywhere in the header is an error, or every tensor stays readable.
    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((0_usize..13_600, any::<u8>()), 1..6)) {
        let mut bytes = model_gguf();
        for (at, value) in flips {
            bytes[at] = value;
        }
        if let Ok(checkpoint) = open(&bytes, "flipped.gguf") {
            for info in checkpoint.tensors() {
                let tensor = checkpoint.tensor(info.name).unwrap();
                prop_assert_eq!(tensor.to_f32().len() as u64, info.n_weights());
            }
            // The result depends on the byte; neither may panic.
            drop((checkpoint.rope_pairing(), checkpoint.rope_freq_factors()));
        }
    }
}
