//! Errors of measurements.

use ridgeline_experiment::experiment::RunError;

/// What can go wrong while something is measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model cannot be opened.
    #[error(transparent)]
    Open(#[from] crate::models::Error),
    /// A model cannot be run.
    #[error(transparent)]
    Model(#[from] ridgeline_model::Error),
    /// No device.
    #[error(transparent)]
    Adapter(#[from] ridgeline_gpu::Error),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] ridgeline_compute::Error),
    /// A measurement of ceilings or launches failed.
    #[error(transparent)]
    Probe(#[from] crate::probe::Error),
    /// Speculation or sampling failed.
    #[error(transparent)]
    Speculation(#[from] ridgeline_speculative::Error),
    /// The text does not turn into tokens.
    #[error(transparent)]
    Text(#[from] ridgeline_text::Error),
    /// A number format that does not exist.
    #[error(transparent)]
    Format(#[from] ridgeline_quant::UnknownFormat),
    /// A test that is not written as `pp128`, `tg64` or `pp128+tg64`.
    #[error("{text:?} is no test; write pp128, tg64 or pp128+tg64")]
    Test {
        /// What was written.
        text: String,
    },
    /// A model without a vocabulary, where text is needed.
    #[error("{name} has no vocabulary, so it cannot read text; use one of the trained models")]
    NoVocabulary {
        /// The model.
        name: String,
    },
    /// A text shorter than one chunk.
    #[error(
        "the text has {tokens} tokens, fewer than a chunk of {chunk}; give a longer text or a smaller -c"
    )]
    ShortText {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens of a chunk.
        chunk: usize,
    },
    /// Another engine that was to be measured beside ours.
    #[error("the other engine cannot be asked: {reason}")]
    Peer {
        /// What happened.
        reason: String,
    },
    /// A recipe that does not exist.
    #[error(transparent)]
    Quantization(#[from] ridgeline_quant::UnknownMix),
    /// A time was asked of the CPU executor.
    #[error(
        "the CPU executor is the kernels' reference, so its speed means nothing; name a device that wgpu drives (--device)"
    )]
    NoClock,
    /// Logits that are no numbers.
    #[error("the model's logits are no numbers: its weights, or the device, are broken")]
    NotNumbers,
    /// Two models that do not speak of the same tokens.
    #[error("the models have different vocabularies, so their predictions cannot be compared")]
    Vocabularies,
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoClock => Self::skip(error.to_string()),
            _ => Self::failed(error),
        }
    }
}
