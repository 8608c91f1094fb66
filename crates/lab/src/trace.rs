//! Profiles as Chrome trace files (Google, "Trace Event Format", complete events), which Perfetto opens.
//!
//! Each forward pass is a process of the trace. Its kernels follow each other in recorded order, without the host's
//! time between them.

use ridgeline_measure::profile::{Profile, stamped};
use ridgeline_measure::{Error, MeasureContext};
use serde_json::{Value, json};

/// The clock of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// GPU timestamps around one compute pass per launch.
    Timestamps,
    /// Time per repetition of each distinct launch: the slope of time over the number of repetitions.
    Slope,
}

impl Source {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Timestamps => "timestamps",
            Self::Slope => "slope",
        }
    }
}

/// Nanoseconds of each launch: from timestamps if the device has plausible ones, otherwise from slopes.
pub(crate) fn step_ns(cx: &MeasureContext, profile: &Profile) -> Result<(Source, Vec<f64>), Error> {
    if let Some(stamped) = stamped(&mut cx.device.borrow_mut(), &profile.pass)? {
        return Ok((Source::Timestamps, stamped));
    }
    let slope = |&i: &usize| 1e9 * profile.row.launches[i].seconds.value;
    Ok((Source::Slope, profile.of.iter().map(slope).collect()))
}

/// The events of one forward pass, as process `pid` of the trace.
pub(crate) fn events(
    title: &str,
    pid: usize,
    profile: &Profile,
    (source, ns): &(Source, Vec<f64>),
) -> Vec<Value> {
    let mut events =
        vec![json!({ "ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": { "name": title } })];
    let mut start_ns = 0.0;
    for ((step, &i), ns) in profile.pass.launches().iter().zip(&profile.of).zip(ns) {
        let launch = &profile.row.launches[i];
        events.push(json!({
            "ph": "X", "name": launch.kernel, "cat": launch.module, "pid": pid, "tid": 0,
            "ts": start_ns / 1e3, "dur": ns / 1e3,
            "args": {
                "variant": launch.variant, "layer": step.region.layer, "grid": step.grid,
                "bytes": launch.cost.bytes(), "flops": launch.cost.flops, "clock": source.name(),
            },
        }));
        start_ns += ns;
    }
    events
}
