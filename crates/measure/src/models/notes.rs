//! Warnings about the files of models, each printed once per process.

use ridgeline_weights::Checkpoint;
use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

static PRINTED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Logs what was left out of a checkpoint's files or is not known.
pub(super) fn print(checkpoint: &Checkpoint) {
    for note in checkpoint.notes() {
        warn(&format!("{}: {note}", checkpoint.path().display()));
    }
}

/// Logs a warning, unless it was logged before.
pub(super) fn warn(text: &str) {
    let mut printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
    if printed.insert(text.to_owned()) {
        tracing::warn!("{text}");
    }
}
