//! Splitting a recording into submissions.

use ridgeline_compute::{Caps, Granularity, Launch, Recording, RunOptions};

/// Floating-point operations of a submission on a GPU: half a second at 0.2 TFLOP/s, half the peak of the smallest GPUs.
///
/// The Windows watchdog resets a device after two seconds, others after about ten.
/// No single launch of an 8 B model has many more operations.
const BOUND: u64 = 100_000_000_000;

/// The granularity of a run: what its options ask for, or the device's default.
///
/// A software adapter has no watchdog, so its submissions are unbounded by default.
pub(crate) fn granularity(options: RunOptions, caps: &Caps) -> Granularity {
    let default = if caps.software { Granularity::Pass } else { Granularity::Bounded(BOUND) };
    options.submission.unwrap_or(default)
}

/// Whether all submissions are encoded before the first is submitted.
///
/// The time from the first submit to the end of the wait then includes no encoding.
pub(crate) fn defers_submit(granularity: Granularity, options: RunOptions) -> bool {
    matches!(granularity, Granularity::Bounded(_)) && !options.wait
}

/// The end of the submission that starts with launch `first`.
pub(crate) fn end(granularity: Granularity, recording: &Recording, first: usize) -> usize {
    let launches = recording.launches();
    match granularity {
        Granularity::Pass => launches.len(),
        Granularity::Bounded(most) => {
            let mut flops = 0;
            let full = |launch: &Launch| {
                flops += recording.launch_cost(launch).flops;
                flops >= most
            };
            launches.iter().skip(first).position(full).map_or(launches.len(), |n| first + n + 1)
        }
        Granularity::Launch => launches.len().min(first + 1),
        Granularity::Layer => {
            let layer = launches.get(first).map(|launch| launch.region.layer);
            let others = launches.iter().skip(first).position(|launch| Some(launch.region.layer) != layer);
            others.map_or(launches.len(), |n| first + n)
        }
    }
}
