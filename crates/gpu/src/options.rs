//! Options of opening a device.

use std::time::Duration;

/// Whether shaders have run-time checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Checks {
    /// No bounds checks, loop bounds, division checks or zeroed workgroup memory. Measurements use this.
    #[default]
    Off,
    /// All of these checks.
    On,
}

/// Options of opening a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuOptions {
    /// Run-time checks in shaders.
    pub checks: Checks,
    /// The backend's validation layers, if installed. They are slow, and meant for tests.
    pub validation: bool,
    /// Longest wait for the device.
    pub timeout: Duration,
    /// A software adapter runs the kernels of a GPU, to test them on machines without one.
    pub gpu_kernels: bool,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self { checks: Checks::Off, validation: false, timeout: Duration::from_secs(120), gpu_kernels: false }
    }
}
