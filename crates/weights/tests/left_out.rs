//! What no layer needs never stops a model from loading; what a layer could need is compared and never dropped.

mod support;

use ridgeline_weights::{Checkpoint, Error};
use support::{EMBEDDING, Gguf, NORM, entry, open, open_in, open_safetensors, write_config};
use tempfile::TempDir;

#[test]
fn values_that_nobody_needs_do_not_stop_a_file_from_opening() {
    let mut it = Gguf::new(2);
    it.key("training.loss", 6).u32(f32::NAN.to_bits());
    it.key("training.losses", 9).u32(6).u64(1).u32(f32::INFINITY.to_bits());
    it.key("nested", 9).u32(9).u64(1).u32(4).u64(2).u32(1).u32(2);
    it.key("general.author", 8).u64(2).body.extend(b"\xff\xfe");
    it.key("general.alignment", 5).u32(32);
    it.key("llama.context_length", 4).u32(7);
    it.tensor("a", &[32, 2], 0, 0).tensor("b", &[4], 28, 256);
    let checkpoint = open(&it.bytes(256 + 32), "good.gguf").unwrap();
    let metadata = checkpoint.metadata();
    assert_eq!((metadata.u32("llama.context_length").unwrap(), metadata.unreadable().count()), (7, 5));
    for (key, why) in [("training.loss", "not finite"), ("nested", "arrays"), ("general.author", "UTF-8")] {
        let error = metadata.find::<&str>(key).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(why), "{error}");
    }
    assert_eq!(checkpoint.tensor("a").unwrap().shape, [2, 32]);
    assert_eq!(checkpoint.tensor("b").unwrap().to_f32(), [0.0; 4], "double precision is read");
}

#[test]
fn tensors_that_no_layer_needs_may_have_any_type_and_shape() {
    for (dims, kind) in
        [(&[64, 2][..], 16), (&[1 << 20], 77), (&[0, 4], 0), (&[], 0), (&[1; 5], 0), (&[33], 8)]
    {
        let mut it = Gguf::new(2);
        it.tensor("old.table", dims, kind, 0).tensor("token_embd.weight", &[32, 2], 0, 0);
        let checkpoint = open(&it.bytes(256), "good.gguf").unwrap();
        assert_eq!(checkpoint.tensors().count(), 1, "{kind}");
        assert!(checkpoint.notes().iter().any(|it| it.contains("`old.table`")), "{:?}", checkpoint.notes());
    }
    let mut it = Gguf::new(2);
    it.tensor("blk.0.position_ids", &[4], 26, 0).tensor("blk.0.ffn_up.bias", &[0], 0, 0);
    assert_eq!(open(&it.bytes(0), "good.gguf").unwrap().tensors().count(), 0);
}

#[test]
fn tensors_of_a_folder_that_no_layer_needs_may_have_any_type_and_shape() {
    let good = entry(EMBEDDING, "F32", "[4, 4]", [0, 64]);
    for (second, bytes) in [
        (entry("model.layers.0.self_attn.k_scale", "F32", "[]", [64, 68]), 4),
        (entry("model.embeddings.position_ids", "I64", "[2]", [64, 80]), 16),
        (entry("model.adapters.weight", "F32", "[0, 4]", [64, 64]), 0),
        (entry("model.layers.0.mlp.up_proj.bias", "F32", "[4]", [64, 80]), 16),
        (entry("v_head.weight", "F8_FROM_THE_FUTURE", "[3, 3, 3]", [64, 71]), 7),
        (r#""__metadata__": {"step": 7}"#.to_owned(), 0),
    ] {
        let checkpoint = open_safetensors(&format!("{{{good}, {second}}}"), 64 + bytes).unwrap();
        assert_eq!(checkpoint.tensors().count(), 1, "{second}");
    }
    let norm = entry(NORM, "F64", "[4]", [64, 96]);
    let checkpoint = open_safetensors(&format!("{{{good}, {norm}}}"), 96).unwrap();
    assert_eq!(checkpoint.tensor("output_norm.weight").unwrap().to_f32(), [0.0; 4]);
}

/// A folder with one file whose embedding and head have these first bytes, and the others 0.
fn tied(names: &[(&str, u8)]) -> Result<Checkpoint, Error> {
    let folder = TempDir::new().unwrap();
    write_config(&folder);
    let entries: Vec<String> =
        (0..).zip(names).map(|(i, (name, _))| entry(name, "F32", "[4, 4]", [64 * i, 64 * (i + 1)])).collect();
    let header = format!("{{{}}}", entries.join(", "));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    names.iter().for_each(|(_, first)| {
        bytes.push(*first);
        bytes.extend([0; 63]);
    });
    open_in(&folder, &bytes, "model.safetensors")
}

#[test]
fn a_stored_head_of_a_tied_model_is_compared_and_never_dropped() {
    let head = "lm_head.weight";
    let same = tied(&[(EMBEDDING, 1), (head, 1)]).unwrap();
    assert!(same.tied_head() && same.notes().is_empty());
    let other = tied(&[(EMBEDDING, 1), (head, 2)]).unwrap();
    assert!(!other.tied_head() && other.notes()[0].contains("lm_head.weight"));
    assert_eq!(other.tensor("output.weight").unwrap().bytes[0], 2);
    let renamed = tied(&[(head, 3)]).unwrap();
    assert!(renamed.tied_head());
    assert_eq!(renamed.tensor("token_embd.weight").unwrap().bytes[0], 3);
}

#[test]
fn parts_without_an_index_are_read_if_all_are_there() {
    let folder = TempDir::new().unwrap();
    write_config(&folder);
    for (i, name) in [(1, EMBEDDING), (2, NORM)] {
        let header = format!("{{{}}}", entry(name, "F32", "[4]", [0, 16]));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 16]);
        std::fs::write(folder.path().join(format!("model-0000{i}-of-00002.safetensors")), bytes).unwrap();
    }
    let second = folder.path().join("model-00002-of-00002.safetensors");
    for path in [folder.path(), &second] {
        assert_eq!(Checkpoint::open(path).unwrap().tensors().count(), 2);
    }
    std::fs::remove_file(&second).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::OtherKind { what, .. } if what.contains("model-00002")), "{error}");
}

#[test]
fn every_tensor_of_an_image_encoder_counts() {
    let mut it = Gguf::of("clip", 2);
    it.tensor("v.pre_ln.weight", &[8], 0, 0).tensor("v.post_ln.weight", &[8], 0, 32);
    let checkpoint = open(&it.bytes(64), "mmproj.gguf").unwrap();
    assert_eq!(checkpoint.notes(), Vec::<String>::new());
    assert!(!checkpoint.is_left_over("v.pre_ln.weight").unwrap());
    // In a file of a text model, a part that sees images changes no logits of a text.
    let mut it = Gguf::new(1);
    it.tensor("v.pre_ln.weight", &[8], 0, 0);
    let checkpoint = open(&it.bytes(32), "model.gguf").unwrap();
    assert!(checkpoint.is_left_over("v.pre_ln.weight").unwrap());
}
