//! A loaded model: configuration and weights on a device. Never changes after loading.

use crate::arch::{self, Decoder};
use crate::matrix::{Matrix, Vector};
use crate::{Config, Error, LoadReport, Loader};
use ridgeline_compute::Executor;
use ridgeline_weights::Checkpoint;

/// Configuration and weights.
#[derive(Debug)]
pub struct Model {
    /// Dimensions and constants.
    pub config: Config,
    pub(crate) embed: Matrix,
    pub(crate) norm: Vector,
    pub(crate) head: Option<Matrix>,
    pub(crate) decoder: Box<dyn Decoder>,
    report: LoadReport,
}

impl Model {
    /// Loads a checkpoint onto a device.
    ///
    /// # Errors
    /// An unknown family, a missing or misshapen tensor, an impossible dimension, a device too small.
    pub fn load(checkpoint: &Checkpoint, executor: &mut dyn Executor) -> Result<Self, Error> {
        let family = arch::of(checkpoint)?;
        let config = family.config(checkpoint)?;
        let mut loader = Loader::new(checkpoint, executor);
        let (embed, norm, head) = loader.ends(&config)?;
        let decoder = family.load(&mut loader, &config)?;
        let report = loader.finish(&config)?;
        Ok(Self { config, embed, norm, head, decoder, report })
    }

    /// Number format of the head, which stands for the model's in tables.
    #[must_use]
    pub fn format(&self) -> ridgeline_quant::Format {
        self.head.as_ref().unwrap_or(&self.embed).format
    }

    /// Parameters and bytes.
    #[must_use]
    pub const fn report(&self) -> LoadReport {
        self.report
    }
}
