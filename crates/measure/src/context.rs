//! The state that measurements share: the device, its measured ceilings, loaded models, the seed.

use crate::models::{self, Loaded};
use crate::probe::{self, Quantity};
use crate::{Device, Error};
use ridgeline_compute::Executor;
use ridgeline_kernels::Tuning;
use ridgeline_model::{Session, SessionOptions, Shared};
use ridgeline_quant::Format;
use ridgeline_roofline::Machine;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A device with everything loaded onto it. A program needs one.
#[derive(Debug)]
pub struct MeasureContext {
    /// The device under test.
    pub device: Shared<Device>,
    /// Its ceilings in bytes/s, FLOP/s and seconds; `None` until they are measured.
    pub machine: Option<Machine>,
    /// Kernel choices for the models that it loads, as of [`tune::stored`](crate::tune::stored).
    pub tuning: Tuning,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Longest predicted time of one visit in seconds; `None` without a limit.
    pub longest_s: Option<f64>,
    models: HashMap<(String, Option<Format>), Rc<Loaded>>,
    /// Models that stay loaded although nothing uses them.
    kept: Vec<Rc<Loaded>>,
}

impl MeasureContext {
    /// A context around an open device.
    #[must_use]
    pub fn new(device: Device, machine: Option<Machine>, tuning: Tuning, seed: u64) -> Self {
        Self {
            device: Rc::new(RefCell::new(device)),
            machine,
            tuning,
            seed,
            longest_s: None,
            models: HashMap::new(),
            kept: Vec::new(),
        }
    }

    /// Loads a model in a quantization type, or returns it where it is loaded already.
    ///
    /// # Errors
    /// [`Error::Open`], as [`models::load`].
    pub fn load(&mut self, name: &str, format: Option<Format>) -> Result<Rc<Loaded>, Error> {
        let key = (name.to_owned(), format);
        if let Some(loaded) = self.models.get(&key) {
            return Ok(loaded.clone());
        }
        // Unused models are freed before the next upload.
        self.models.retain(|_, loaded| Rc::strong_count(loaded) > 1);
        let loaded = Rc::new(models::load(&mut self.device.borrow_mut(), name, format, self.tuning.clone())?);
        self.models.insert(key, loaded.clone());
        Ok(loaded)
    }

    /// Keeps the models that are loaded now, whatever is loaded later.
    pub fn keep_loaded(&mut self) {
        self.kept = self.models.values().cloned().collect();
    }

    /// An empty sequence of a loaded model on this device. The first one of each model runs a token, so that no broken model
    /// is measured. An ablated session computes nothing that could be checked.
    ///
    /// # Errors
    /// [`Error::Model`] where the type of the cache does not fit the model, or the context does not fit the device;
    /// [`Error::NotNumbers`] for a broken model.
    pub fn session(&self, loaded: &Loaded, options: SessionOptions) -> Result<Session<Device>, Error> {
        let whole = options.switches.ablate.is_empty();
        let mut session = Session::new(loaded.model.clone(), self.device.clone(), options)?;
        if whole {
            loaded.require_finite(&mut session)?;
        }
        Ok(session)
    }

    /// Measures the ceilings that predictions need, with the short budget of [`probe::budget`].
    ///
    /// # Errors
    /// [`Error::Probe`], as [`probe::measure`].
    pub fn ceilings(&self) -> Result<Machine, Error> {
        let mut ceilings = Vec::new();
        for quantity in Quantity::ALL.into_iter().filter(|&it| it != Quantity::Matvec) {
            ceilings
                .push(probe::measure(&mut self.device.borrow_mut(), quantity, &probe::budget(true))?.ceiling);
        }
        let (_, adapter) = self.names();
        Ok(probe::machine(&adapter, &ceilings).ok_or(probe::Error::NoBlocks)?)
    }

    /// Names of the wgpu backend and of the adapter, for tables.
    #[must_use]
    pub fn names(&self) -> (String, String) {
        match self.device.borrow_mut().gpu() {
            Some(gpu) => (gpu.info().backend.clone(), gpu.info().name.clone()),
            None => ("cpu".to_owned(), "CPU twins".to_owned()),
        }
    }

    /// Whether the device can be timed. The CPU executor is a reference for kernels, so its speed is meaningless.
    #[must_use]
    pub fn has_clock(&self) -> bool {
        self.device.borrow_mut().gpu().is_some()
    }

    /// Fails where the device cannot be timed.
    ///
    /// # Errors
    /// [`Error::NoClock`] on the CPU executor.
    pub fn require_clock(&self) -> Result<(), Error> {
        if self.has_clock() { Ok(()) } else { Err(Error::NoClock) }
    }

    /// Fails where the device has no timestamps. Whether they are valid is only known after a run.
    ///
    /// # Errors
    /// [`Error::NoTimestamps`] names the adapter.
    pub fn require_timestamps(&self) -> Result<(), Error> {
        let has = self.device.borrow_mut().gpu().is_some_and(|gpu| gpu.info().features.timestamps);
        if has { Ok(()) } else { Err(Error::NoTimestamps { adapter: self.names().1 }) }
    }

    /// Largest storage binding of the device in bytes.
    #[must_use]
    pub fn max_binding(&self) -> u64 {
        self.device.borrow().caps().max_binding
    }
}
