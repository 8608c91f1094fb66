//! Roofline arithmetic: cost, machine, bound, waterfall. Pure: no clock, no device, no files.

mod cost;

pub use cost::Cost;
