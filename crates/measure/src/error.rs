//! Errors of measurements.

use ridgeline_experiment::measure::RunError;

/// Why a measurement failed.
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
    /// A text cannot be tokenized.
    #[error(transparent)]
    Text(#[from] ridgeline_text::Error),
    /// Unknown quantization type.
    #[error(transparent)]
    Format(#[from] ridgeline_quant::UnknownFormat),
    /// A test in another notation than `pp128`, `tg64` or `pp128+tg64`.
    #[error("{text:?} is not a test; write pp128, tg64 or pp128+tg64")]
    Test {
        /// The text of the test.
        text: String,
    },
    /// Work that is measured with one sequence only.
    #[error(
        "{what} is measured with one sequence, not {sequences}; leave out `sequences`, or measure a prompt or a generation"
    )]
    Sequences {
        /// The work.
        what: &'static str,
        /// How many sequences were asked for.
        sequences: usize,
    },
    /// A model without a vocabulary cannot read text.
    #[error("{name} has no vocabulary and cannot read text; choose a trained model (-m)")]
    NoVocabulary {
        /// Name of the model.
        name: String,
    },
    /// A text shorter than one chunk.
    #[error("the text has {tokens} tokens but a chunk has {chunk}; give a longer text or a smaller -c")]
    ShortText {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens of a chunk.
        chunk: usize,
    },
    /// A file of prompts without prompts, or a line of it without a kind.
    #[error("{path}: line {line}: give a kind of text, a tab and a prompt", path = path.display())]
    PromptLine {
        /// The file.
        path: std::path::PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The engine to compare with cannot be measured.
    #[error("the other engine cannot be measured: {reason}")]
    Peer {
        /// The reason.
        reason: String,
    },
    /// A device without valid timestamps cannot be timed by its own clock.
    #[error("{adapter} has no valid device timestamps; use --clock complete or another --device")]
    NoTimestamps {
        /// Name of the adapter.
        adapter: String,
    },
    /// Unknown quantization mix.
    #[error(transparent)]
    Quantization(#[from] ridgeline_quant::UnknownMix),
    /// The CPU executor is not timed.
    #[error(
        "the CPU executor is a reference without a meaningful speed; choose a device that wgpu drives (--device)"
    )]
    NoClock,
    /// A logit is NaN or infinite.
    #[error(
        "the model's logits are not finite: its weights or the device are broken; run `ridgeline doctor`"
    )]
    NotNumbers,
    /// Two models with different vocabularies.
    #[error(
        "the models have different vocabularies and cannot be compared; choose a reference of the same family"
    )]
    Vocabularies,
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoClock | Error::NoTimestamps { .. } => Self::skip(error.to_string()),
            _ => Self::failed(error),
        }
    }
}
