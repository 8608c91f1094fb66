//! The `ridgeline` command.

fn main() {}
