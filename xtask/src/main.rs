//! Builds `ridgeline` and forwards to it.

fn main() {}
