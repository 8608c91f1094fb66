//! A loaded model: hyperparameters and weights on a device. It never changes after loading.

use crate::arch::{self, Decoder};
use crate::keys::Keys;
use crate::layers::{Heads, Norm};
use crate::matrix::WeightMatrix;
use crate::reserved::Reserved;
use crate::{Config, Error, LoadReport, Loader};
use ridgeline_compute::Executor;
use ridgeline_kernels::Tuning;
use ridgeline_quant::Format;
use ridgeline_weights::Checkpoint;

/// Hyperparameters and weights.
#[derive(Debug)]
pub struct Model {
    /// Hyperparameters.
    pub config: Config,
    pub(crate) embed: WeightMatrix,
    pub(crate) norm: Norm,
    pub(crate) head: Option<WeightMatrix>,
    pub(crate) decoder: Box<dyn Decoder>,
    pub(crate) tuning: Tuning,
    pub(crate) reserved: Reserved,
    report: LoadReport,
    format: Format,
}

impl Model {
    /// Loads a checkpoint onto a device.
    ///
    /// # Errors
    /// An unknown family, a missing or misshapen tensor, an invalid dimension, or a device too small.
    pub fn load(checkpoint: &Checkpoint, executor: &mut dyn Executor) -> Result<Self, Error> {
        let keys = Keys::of(checkpoint)?;
        let family = arch::of(keys)?;
        let config = family.config(keys)?;
        let mut loader = Loader::new(keys, executor);
        let decoder = family.load(&mut loader, &config)?;
        let (embed, norm, head) = loader.embedding_and_head(&config, family.norm())?;
        let (report, reserved) = loader.finish(&config)?;
        let format = checkpoint.main_format().unwrap_or(embed.format);
        let tuning = Tuning::default();
        Ok(Self { config, embed, norm, head, decoder, tuning, reserved, report, format })
    }

    /// Replaces the default kernel choices by those of `tuning`, the fastest measured on the device.
    #[must_use]
    pub fn tuned(self, tuning: Tuning) -> Self {
        Self { tuning, ..self }
    }

    /// The quantization type of most weights, which represents the model in tables.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The distinct attention shapes of the layers, in order of first use.
    #[must_use]
    pub fn heads(&self) -> &[Heads] {
        &self.reserved.heads
    }

    /// Parameters and bytes.
    #[must_use]
    pub const fn report(&self) -> LoadReport {
        self.report
    }
}
