//! WGSL text of every kernel, number format and reduction.
