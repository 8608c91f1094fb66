//! [`CheckedDevice`]: a device whose uncaptured errors and loss become typed errors.
//!
//! wgpu panics on both by default. Here its callbacks store them, and every executor call checks them.

use ridgeline_compute::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct ErrorState {
    /// Why the device was lost.
    lost: Option<String>,
    /// The first uncaptured error since the last check.
    error: Option<String>,
}

/// Errors that arrived by callback.
#[derive(Debug, Default)]
struct DeviceErrors {
    /// Whether anything is stored, so that a check without errors takes no lock.
    any: AtomicBool,
    stored: Mutex<ErrorState>,
}

impl DeviceErrors {
    fn store(&self, change: impl FnOnce(&mut ErrorState)) {
        change(&mut self.stored.lock().unwrap_or_else(PoisonError::into_inner));
        self.any.store(true, Ordering::Release);
    }
}

/// A device whose errors are stored. Only its methods wait for the device.
#[derive(Debug)]
pub(crate) struct CheckedDevice {
    device: wgpu::Device,
    errors: Arc<DeviceErrors>,
    timeout: Duration,
}

impl std::ops::Deref for CheckedDevice {
    type Target = wgpu::Device;
    fn deref(&self) -> &wgpu::Device {
        &self.device
    }
}

impl CheckedDevice {
    /// Sets the device's error callbacks. Waiting longer than `timeout` is an error.
    pub(crate) fn new(device: wgpu::Device, timeout: Duration) -> Self {
        let errors = Arc::new(DeviceErrors::default());
        let store = Arc::clone(&errors);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let reason = describe(&error);
            tracing::warn!(%reason, "the device refused a command");
            // Keep the first error: later ones are usually its consequences.
            store.store(|s| s.error = s.error.take().or(Some(reason)));
        }));
        let store = Arc::clone(&errors);
        device.set_device_lost_callback(move |reason, text| {
            let reason = if text.is_empty() { format!("{reason:?}") } else { text };
            tracing::warn!(%reason, "device lost");
            store.store(|s| s.lost = Some(reason));
        });
        Self { device, errors, timeout }
    }

    /// The error that arrived since the last call, if any. A lost device is reported by every call.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.errors.any.load(Ordering::Acquire) {
            return Ok(());
        }
        // A destroyed device reports its loss only when polled, after errors that the loss caused.
        self.poll(wgpu::PollType::Poll).ok();
        let mut stored = self.errors.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &stored.lost {
            return Err(Error::DeviceLost { reason: reason.clone() });
        }
        self.errors.any.store(false, Ordering::Release);
        stored.error.take().map_or(Ok(()), |reason| Err(Error::Device { reason }))
    }

    /// As [`Self::check`], after polling the device. For rare calls only.
    pub(crate) fn check_now(&self) -> Result<(), Error> {
        self.poll(wgpu::PollType::Poll)?;
        self.check()
    }

    /// Replaces an error by the loss of the device, if it is lost: a loss makes every other call fail.
    pub(crate) fn explain<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| match self.check_now() {
            Err(lost @ Error::DeviceLost { .. }) => lost,
            _ => error,
        })
    }

    /// Marks the device as lost, for a loss that the driver does not report. Returns the error.
    pub(crate) fn lose(&self, reason: String) -> Error {
        tracing::warn!(%reason, "device lost");
        self.errors.store(|s| s.lost = s.lost.take().or(Some(reason.clone())));
        Error::DeviceLost { reason }
    }

    /// Blocks until a submission is done and its callbacks have run.
    pub(crate) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), Error> {
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(self.timeout) })?;
        self.check()
    }

    fn poll(&self, how: wgpu::PollType) -> Result<(), Error> {
        // wgpu panics if the driver reports the loss of the device during a wait.
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(how))) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(wgpu::PollError::Timeout)) => Err(Error::Timeout { seconds: self.timeout.as_secs() }),
            Ok(Err(other)) => {
                // A refused submission has an invalid index. `check` then reports the refusal, if it was stored.
                catch_unwind(AssertUnwindSafe(|| self.device.poll(wgpu::PollType::Poll))).ok();
                self.errors.any.store(true, Ordering::Release);
                let stored = self.errors.stored.lock().unwrap_or_else(PoisonError::into_inner);
                if stored.lost.is_some() || stored.error.is_some() {
                    return Ok(());
                }
                Err(Error::Device { reason: other.to_string() })
            }
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let reason = message.unwrap_or_else(|| "the driver failed during a wait".to_owned());
                self.errors.store(|s| s.lost = s.lost.take().or(Some(reason.clone())));
                Err(Error::DeviceLost { reason })
            }
        }
    }

    /// Runs `make` in error scopes and returns the error it caused, if any. Scopes belong to the calling thread.
    pub(crate) fn scoped<T>(&self, make: impl FnOnce(&wgpu::Device) -> T) -> Result<T, wgpu::Error> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make(&self.device);
        let validation = pollster::block_on(validation.pop());
        let internal = pollster::block_on(internal.pop());
        let memory = pollster::block_on(memory.pop());
        // Running out of memory makes objects invalid, so it is the cause of validation errors.
        memory.or(internal).or(validation).map_or(Ok(made), Err)
    }
}

/// The text of an error.
pub(crate) fn describe(error: &wgpu::Error) -> String {
    match error {
        wgpu::Error::OutOfMemory { source } => format!("out of device memory: {source}"),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            description.trim_end().to_owned()
        }
    }
}
