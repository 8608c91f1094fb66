//! The experiments and the ridgeline command.
