//! Handmade GGUF and safetensors files, in which each part can be wrong.

#![allow(dead_code, reason = "each test program uses a part of this module")]

#[path = "../counting/mod.rs"]
mod counting;

use counting::peak_bytes;
use ridgeline_weights::{Checkpoint, Error};
use tempfile::TempDir;

/// Memory of an error message, a path and a few empty containers, beyond the size of the file.
pub(crate) const SLACK: usize = 16 * 1024;

/// Opens bytes as a file of this name; a failure must stay in the memory limit and name the file.
pub(crate) fn open(bytes: &[u8], name: &str) -> Result<Checkpoint, Error> {
    let folder = TempDir::new().unwrap();
    open_in(&folder, bytes, name)
}

pub(crate) fn open_in(folder: &TempDir, bytes: &[u8], name: &str) -> Result<Checkpoint, Error> {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let (result, peak) = peak_bytes(|| Checkpoint::open(&path));
    if let Err(error) = &result {
        assert!(peak <= bytes.len() + SLACK, "{peak} bytes for a file of {}: {error}", bytes.len());
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }
    result
}

/// A handmade GGUF file, in which each part can be wrong.
pub(crate) struct Gguf {
    pub(crate) version: u32,
    pub(crate) n_tensors: u64,
    pub(crate) n_keys: u64,
    pub(crate) body: Vec<u8>,
}

impl Gguf {
    pub(crate) fn new(n_tensors: u64) -> Self {
        Self::of("llama", n_tensors)
    }
    pub(crate) fn of(architecture: &str, n_tensors: u64) -> Self {
        let mut it = Self { version: 3, n_tensors, n_keys: 1, body: Vec::new() };
        it.string("general.architecture").u32(8).string(architecture);
        it
    }
    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.body.extend(value.to_le_bytes());
        self
    }
    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.body.extend(value.to_le_bytes());
        self
    }
    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        self.u64(text.len() as u64).body.extend(text.as_bytes());
        self
    }
    pub(crate) fn tensor(&mut self, name: &str, dims: &[u64], kind: u32, offset: u64) -> &mut Self {
        self.string(name).u32(u32::try_from(dims.len()).unwrap());
        dims.iter().for_each(|&it| {
            self.u64(it);
        });
        self.u32(kind).u64(offset)
    }
    pub(crate) fn key(&mut self, key: &str, kind: u32) -> &mut Self {
        self.n_keys += 1;
        self.string(key).u32(kind)
    }
    /// The file, padded to the alignment and followed by `data` bytes of tensor data.
    pub(crate) fn bytes(&self, data: usize) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.n_tensors.to_le_bytes());
        bytes.extend(self.n_keys.to_le_bytes());
        bytes.extend(&self.body);
        bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
        bytes
    }
    pub(crate) fn error(&self) -> Error {
        open(&self.bytes(256), "bad.gguf").unwrap_err()
    }
}

/// A safetensors file whose header is the given JSON, with `data` bytes behind it, opened beside a config.json.
pub(crate) fn open_safetensors(header: &str, data: usize) -> Result<Checkpoint, Error> {
    let folder = TempDir::new().unwrap();
    write_config(&folder);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    open_in(&folder, &bytes, "model.safetensors")
}

pub(crate) fn write_config(folder: &TempDir) {
    let config = r#"{"model_type": "llama", "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": 4, "vocab_size": 4, "max_position_embeddings": 8, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
}

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(crate) const NORM: &str = "model.norm.weight";

pub(crate) fn entry(name: &str, dtype: &str, shape: &str, offsets: [usize; 2]) -> String {
    format!(r#""{name}": {{"dtype": "{dtype}", "shape": {shape}, "data_offsets": {offsets:?}}}"#)
}
