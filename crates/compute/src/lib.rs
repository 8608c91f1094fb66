//! What a kernel is: bindings, templates, recordings, executors.
