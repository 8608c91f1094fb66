//! GGUF and safetensors checkpoints over mmap, random-weight checkpoints, GGUF writer.
//!
//! [`Checkpoint::open`] maps a file and checks every length, offset and type before it uses them. Tensors are bytes in
//! the quantization type of the file. They are borrowed from the mapping, except for random weights, MLX matrices and
//! tensors that a folder has in another form.
//! Names and metadata keys are GGUF's for every container; only `convention` knows the differences.

mod checkpoint;
mod convention;
mod convert;
mod depth;
mod encode;
mod entry;
mod error;
mod gather;
mod gguf;
mod hf;
mod layer;
mod map;
mod metadata;
mod open;
mod parts;
mod prediction;
mod quantization;
mod quantize;
mod random;
mod recognize;
mod rope;
mod shape;
mod value;

pub use checkpoint::{Checkpoint, Tensor, TensorInfo};
pub use convention::{LayerKind, RopePairing};
pub use convert::{Progress, convert, convert_weights, fingerprint, write_gguf};
pub use entry::Container;
pub use error::Error;
pub use metadata::Metadata;
pub use quantization::{Quantization, UnknownQuantization};
pub use quantize::{formats, quantize};
pub use recognize::recognize_json;
pub use shape::{RopeScaling, Shape};
pub use value::{Array, FromValue, Value};
