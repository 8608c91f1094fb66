//! The error type. Every variant has the file, and the tensor or key.

use std::path::PathBuf;

/// Why a checkpoint could not be opened, generated or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An I/O error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Neither GGUF nor safetensors, nor a folder that holds one.
    #[error("{}: not a checkpoint: expected {expected}", path.display())]
    NotACheckpoint {
        /// The file or folder.
        path: PathBuf,
        /// The accepted inputs.
        expected: &'static str,
    },
    /// A file or folder of another kind, which its content or name shows.
    #[error("{}: this is {what}; {remedy}", path.display())]
    OtherKind {
        /// The file or folder.
        path: PathBuf,
        /// The kind of file that it is.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A part of a split GGUF file that cannot be joined with the others.
    #[error("{}: a split GGUF file: {problem}", path.display())]
    Split {
        /// The file that was given.
        path: PathBuf,
        /// The defect, and what to do.
        problem: String,
    },
    /// A stored tensor that contradicts the configuration.
    #[error("{}: tensor `{tensor}` contradicts the configuration: {problem}", path.display())]
    Contradiction {
        /// The file or folder.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The contradiction.
        problem: String,
    },
    /// A big-endian GGUF file.
    #[error("{}: big-endian GGUF is not supported; convert it with llama.cpp's gguf_convert_endian.py", path.display())]
    BigEndian {
        /// The file.
        path: PathBuf,
    },
    /// A GGUF version other than 2 and 3.
    #[error("{}: GGUF version {version} is not supported, only 2 and 3 are", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the header.
        version: u32,
    },
    /// The file ends inside `what`.
    #[error("{}: the file ends inside {what}: {needed} bytes needed at offset {offset}, {available} left", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What was being read.
        what: String,
        /// Where, in bytes from the start.
        offset: u64,
        /// Bytes of `what`, or their least number.
        needed: u64,
        /// Bytes left in the file.
        available: u64,
    },
    /// `general.alignment` is not a power of two of at least 8.
    #[error("{}: general.alignment is {alignment}, not a power of two of at least 8", path.display())]
    Alignment {
        /// The file.
        path: PathBuf,
        /// The declared alignment.
        alignment: u32,
    },
    /// An invalid metadata entry.
    #[error("{}: metadata `{key}`: {problem}", path.display())]
    MetadataEntry {
        /// The file.
        path: PathBuf,
        /// The readable part of the key.
        key: String,
        /// The defect.
        problem: &'static str,
    },
    /// A required metadata key is absent.
    #[error("{}: metadata `{key}` is missing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A metadata value of the wrong type or out of range.
    #[error("{}: metadata `{key}` should be {expected}, found {found}", path.display())]
    KeyType {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The expected type.
        expected: &'static str,
        /// The stored value, shortened.
        found: String,
    },
    /// A key that changes the arithmetic in a way that no kernel has.
    #[error("{}: `{key}` is {value}, which is not supported: {needs}", path.display())]
    RefusedKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, shortened.
        value: String,
        /// What the value must be.
        needs: String,
    },
    /// An invalid tensor entry, or a tensor that does not fit the operation.
    #[error("{}: tensor `{tensor}`: {problem}", path.display())]
    TensorEntry {
        /// The file.
        path: PathBuf,
        /// The readable part of the tensor's name.
        tensor: String,
        /// The defect.
        problem: &'static str,
    },
    /// A quantization type that cannot be read.
    #[error("{}: tensor `{tensor}` has quantization type {format}, which is not supported", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type's name, or its id if ggml defines no such type.
        format: String,
    },
    /// A tensor beyond the end of the file.
    #[error("{}: tensor `{tensor}` needs bytes {start}..{end}, but the file has {file_bytes}; is the download complete?", path.display())]
    OutOfBounds {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// First byte, from the start of the file.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// The length of the file.
        file_bytes: u64,
    },
    /// Two tensors overlap.
    #[error("{}: tensors `{tensor}` and `{other}` overlap", path.display())]
    Overlap {
        /// The file.
        path: PathBuf,
        /// The tensor that starts later.
        tensor: String,
        /// The tensor that it starts in.
        other: String,
    },
    /// gguf-rs failed on a directory that passed our checks.
    #[error("{}: the GGUF directory cannot be decoded: {problem}", path.display())]
    Directory {
        /// The file.
        path: PathBuf,
        /// gguf-rs's message.
        problem: String,
    },
    /// An invalid safetensors header.
    #[error("{}: {source}", path.display())]
    SafetensorsHeader {
        /// The file.
        path: PathBuf,
        /// The error of the `safetensors` crate.
        source: safetensors::SafeTensorError,
    },
    /// A JSON file (config, index, tokenizer) that cannot be parsed.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A shard that does not match the index.
    #[error("{}: shard `{shard}`, listed for tensor `{tensor}`, {problem}", path.display())]
    Shard {
        /// The index file.
        path: PathBuf,
        /// The shard's name.
        shard: String,
        /// A tensor that the index assigns to it.
        tensor: String,
        /// The defect.
        problem: &'static str,
    },
    /// An unsupported model family.
    #[error("{}: model family `{family}` is not supported; supported are {known}", path.display())]
    UnknownFamily {
        /// The file.
        path: PathBuf,
        /// `model_type` or `general.architecture`.
        family: String,
        /// The supported families.
        known: String,
    },
    /// A tensor that the family does not define. The model would be wrong without it.
    #[error("{}: tensor `{tensor}` is not part of model family `{family}`", path.display())]
    UnexpectedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor, under its name in the file.
        tensor: String,
        /// The family.
        family: String,
    },
    /// A required tensor is absent.
    #[error("{}: tensor `{tensor}` is missing", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor of the wrong shape.
    #[error("{}: tensor `{tensor}` has shape {found:?}, expected {expected:?}", path.display())]
    ShapeMismatch {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape in the file, outermost first.
        found: Vec<usize>,
        /// The expected shape, outermost first.
        expected: Vec<usize>,
    },
    /// An unsupported kind of `RoPE` scaling.
    #[error("{}: RoPE scaling `{kind}` is not supported here; `linear`, `llama3` and, in some families, `yarn` are", path.display())]
    RopeScaling {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: String,
    },
    /// A vocabulary that GGUF metadata cannot represent.
    #[error("{}: the vocabulary cannot be stored in GGUF: {problem}", path.display())]
    Vocabulary {
        /// The tokenizer file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// A quantization type without an encoder.
    #[error("{}: tensor `{tensor}` cannot be written as {format}: there is no encoder for it", path.display())]
    NoEncoder {
        /// The output file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The wanted type.
        format: &'static str,
    },
    /// A weight that is infinite or NaN, which a block with a shared scale cannot hold.
    #[error("{}: tensor `{tensor}` has a weight that is not finite (index {index}), which {format} cannot store", path.display())]
    NotFinite {
        /// The source.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The index of the weight in row-major order.
        index: u64,
        /// The wanted type.
        format: &'static str,
    },
    /// A model description in TOML that cannot be parsed.
    #[error("model description: {source}")]
    ShapeToml {
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A model description with invalid dimensions.
    #[error("model description `{name}`: {problem}")]
    ShapeDimensions {
        /// The model's name.
        name: String,
        /// The defect.
        problem: &'static str,
    },
}
