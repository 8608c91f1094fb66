//! The one error type: what was wrong, in which file, at which tensor or key.

use std::path::PathBuf;

/// Why a checkpoint could not be read, made or written. Every variant names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Neither GGUF nor safetensors, nor a folder that holds one.
    #[error("{}: not a checkpoint: expected {expected}", path.display())]
    NotACheckpoint {
        /// The file or folder.
        path: PathBuf,
        /// What would have been accepted in its place.
        expected: &'static str,
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
        /// The version it declares.
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
        /// Bytes (or the least number of bytes) that `what` takes.
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
    /// A metadata entry that the format does not allow.
    #[error("{}: metadata `{key}`: {problem}", path.display())]
    MetadataEntry {
        /// The file.
        path: PathBuf,
        /// The key, as far as it could be read.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A metadata key that is needed and absent.
    #[error("{}: metadata `{key}` is missing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A metadata value of another type, or out of range, than what was asked for.
    #[error("{}: metadata `{key}` should be {expected}, found {found}", path.display())]
    KeyType {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The wanted type.
        expected: &'static str,
        /// The stored value, shortened.
        found: String,
    },
    /// A tensor entry whose name or dimensions are impossible.
    #[error("{}: tensor `{tensor}`: {problem}", path.display())]
    TensorEntry {
        /// The file.
        path: PathBuf,
        /// The tensor, as far as its name could be read.
        tensor: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A number format that this build cannot read.
    #[error("{}: tensor `{tensor}` is stored as {format}, which is not supported", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The format's name, or its id if ggml defines no such type.
        format: String,
    },
    /// A tensor that reaches past the end of the file.
    #[error("{}: tensor `{tensor}` takes bytes {start}..{end} of a file of {file_bytes}", path.display())]
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
    /// Two tensors that share bytes.
    #[error("{}: tensors `{tensor}` and `{other}` overlap", path.display())]
    Overlap {
        /// The file.
        path: PathBuf,
        /// The one that starts later.
        tensor: String,
        /// The one whose bytes it starts in.
        other: String,
    },
    /// gguf-rs refused, or panicked on, a directory that our own scan had accepted.
    #[error("{}: the GGUF directory cannot be decoded: {problem}", path.display())]
    Directory {
        /// The file.
        path: PathBuf,
        /// gguf-rs's message.
        problem: String,
    },
    /// A safetensors header that its reader refused.
    #[error("{}: {source}", path.display())]
    SafetensorsHeader {
        /// The file.
        path: PathBuf,
        /// What the reader said.
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
    /// A shard that the index names and the folder lacks, or that is not a plain file name.
    #[error("{}: shard `{shard}`, which holds `{tensor}`, {problem}", path.display())]
    Shard {
        /// The index file.
        path: PathBuf,
        /// The shard's name.
        shard: String,
        /// A tensor that should be in it.
        tensor: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A model family that this build does not know.
    #[error("{}: model family `{family}` is not known here; known are {known}", path.display())]
    UnknownFamily {
        /// The file.
        path: PathBuf,
        /// `model_type` or `general.architecture`.
        family: String,
        /// The families that are known.
        known: String,
    },
    /// A tensor that the family has no place for; ignoring it would compute something else than the model.
    #[error("{}: tensor `{tensor}` has no place in a model of family `{family}`", path.display())]
    UnexpectedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor, under its name in the file.
        tensor: String,
        /// The family.
        family: String,
    },
    /// A tensor that is needed and absent.
    #[error("{}: tensor `{tensor}` is missing", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor of another shape than the model needs.
    #[error("{}: tensor `{tensor}` has shape {found:?}, but {expected:?} is needed", path.display())]
    ShapeMismatch {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape in the file, outermost first.
        found: Vec<usize>,
        /// The shape the model needs.
        expected: Vec<usize>,
    },
    /// A kind of `RoPE` scaling that has no implementation here.
    #[error("{}: RoPE scaling `{kind}` is not supported; `linear` and `llama3` are", path.display())]
    RopeScaling {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: String,
    },
    /// A vocabulary that cannot be carried into GGUF metadata.
    #[error("{}: the vocabulary cannot be stored in GGUF: {problem}", path.display())]
    Vocabulary {
        /// The tokenizer file.
        path: PathBuf,
        /// What is in the way.
        problem: &'static str,
    },
    /// A number format that has no encoder.
    #[error("{}: tensor `{tensor}` cannot be written as {format}: there is no encoder for it", path.display())]
    NoEncoder {
        /// The output file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The wanted format.
        format: &'static str,
    },
    /// A weight that a block of numbers with a common scale cannot hold.
    #[error("{}: tensor `{tensor}` has a weight that is not finite (number {index}), which {format} cannot hold", path.display())]
    NotFinite {
        /// The source.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Which weight of the tensor, counted row by row from 0.
        index: u64,
        /// The wanted format.
        format: &'static str,
    },
    /// A model description in TOML that cannot be parsed or contradicts itself.
    #[error("model description: {source}")]
    ShapeToml {
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A model description whose dimensions contradict each other.
    #[error("model description `{name}`: {problem}")]
    ShapeDimensions {
        /// The model's name.
        name: String,
        /// The contradiction.
        problem: &'static str,
    },
}
