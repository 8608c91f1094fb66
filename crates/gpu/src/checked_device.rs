//! What the driver reports outside of return values: uncaptured errors and the loss of the device.
//!
//! wgpu's default for both is a panic. Here they are stored, and every executor call turns them into typed errors.

use ridgeline_compute::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct ErrorState {
    lost: Option<String>,
    error: Option<String>,
}

/// Errors that arrived by callback.
#[derive(Debug, Default)]
struct DeviceErrors {
    any: AtomicBool,
    stored: Mutex<ErrorState>,
}

impl DeviceErrors {
    fn store(&self, change: impl FnOnce(&mut ErrorState)) {
        change(&mut self.stored.lock().unwrap_or_else(PoisonError::into_inner));
        self.any.store(true, Ordering::Release);
    }
}

/// A device whose reports are kept, and the only place that waits for it.
#[derive(Debug)]
pub(crate) struct CheckedDevice {
    device: wgpu::Device,
    faults: Arc<DeviceErrors>,
    timeout: Duration,
}

impl std::ops::Deref for CheckedDevice {
    type Target = wgpu::Device;
    fn deref(&self) -> &wgpu::Device {
        &self.device
    }
}

impl CheckedDevice {
    /// Takes over the device's callbacks. Waiting longer than `timeout` is an error.
    pub(crate) fn new(device: wgpu::Device, timeout: Duration) -> Self {
        let faults = Arc::new(DeviceErrors::default());
        let store = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let reason = describe(&error);
            tracing::warn!(%reason, "the device refused a command");
            // The first error is the cause, those that follow are its consequences.
            store.store(|s| s.error = s.error.take().or(Some(reason)));
        }));
        let store = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, text| {
            let reason = if text.is_empty() { format!("{reason:?}") } else { text };
            tracing::warn!(%reason, "device lost");
            store.store(|s| s.lost = Some(reason));
        });
        Self { device, faults, timeout }
    }

    /// An error, if one arrived since the last call. A loss is reported for ever.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.faults.any.load(Ordering::Acquire) {
            return Ok(());
        }
        // A destroyed device says so only when polled, and its consequences arrive first.
        self.poll(wgpu::PollType::Poll).ok();
        let mut stored = self.faults.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &stored.lost {
            return Err(Error::DeviceLost { reason: reason.clone() });
        }
        self.faults.any.store(false, Ordering::Release);
        stored.error.take().map_or(Ok(()), |reason| Err(Error::Device { reason }))
    }

    /// As [`Self::check`], after asking the driver. For calls that are rare.
    pub(crate) fn check_now(&self) -> Result<(), Error> {
        self.poll(wgpu::PollType::Poll)?;
        self.check()
    }

    /// The cause of an error: the loss of the device, where it is lost, because that makes everything else fail.
    pub(crate) fn explain<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| match self.check_now() {
            Err(lost @ Error::DeviceLost { .. }) => lost,
            _ => error,
        })
    }

    /// Blocks until a submission is done and its callbacks have run.
    pub(crate) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), Error> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(self.timeout) })?;
        self.check()
    }

    fn poll(&self, how: wgpu::PollType) -> Result<(), Error> {
        // wgpu panics where the driver reports the loss of the device while it is waited for.
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(how))) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(wgpu::PollError::Timeout)) => Err(Error::Timeout { seconds: self.timeout.as_secs() }),
            Ok(Err(other)) => {
                // The submission was refused, so its number was never given out: the refusal is the cause.
                catch_unwind(AssertUnwindSafe(|| self.device.poll(wgpu::PollType::Poll))).ok();
                self.faults.any.store(true, Ordering::Release);
                let stored = self.faults.stored.lock().unwrap_or_else(PoisonError::into_inner);
                if stored.lost.is_some() || stored.error.is_some() {
                    return Ok(());
                }
                Err(Error::Device { reason: other.to_string() })
            }
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let reason = said.unwrap_or_else(|| "the driver failed while being waited for".to_owned());
                self.faults.store(|s| s.lost = s.lost.take().or(Some(reason.clone())));
                Err(Error::DeviceLost { reason })
            }
        }
    }

    /// Runs `make` and returns what it reported. Scopes belong to the calling thread.
    pub(crate) fn scoped<T>(&self, make: impl FnOnce(&wgpu::Device) -> T) -> Result<T, wgpu::Error> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make(&self.device);
        let validation = pollster::block_on(validation.pop());
        let internal = pollster::block_on(internal.pop());
        let memory = pollster::block_on(memory.pop());
        // Running out of memory makes objects invalid, so it is the cause of what validation says.
        memory.or(internal).or(validation).map_or(Ok(made), Err)
    }
}

/// An error in words.
pub(crate) fn describe(error: &wgpu::Error) -> String {
    match error {
        wgpu::Error::OutOfMemory { source } => format!("out of device memory: {source}"),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            description.trim_end().to_owned()
        }
    }
}
