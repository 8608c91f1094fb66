//! What experiments share while they run: the device, its measured ceilings, the seed.

use crate::Device;
use ridgeline_model::Shared;
use ridgeline_roofline::Machine;
use std::cell::RefCell;
use std::rc::Rc;

/// The laboratory: one per process.
#[derive(Debug)]
pub struct Lab {
    /// The device under test.
    pub device: Shared<Device>,
    /// Its ceilings, once measured.
    pub machine: Option<Machine>,
    /// Seed of everything random.
    pub seed: u64,
}

impl Lab {
    /// A laboratory around an open device.
    #[must_use]
    pub fn new(device: Device, machine: Option<Machine>, seed: u64) -> Self {
        Self { device: Rc::new(RefCell::new(device)), machine, seed }
    }
}
