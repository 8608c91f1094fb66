//! Profiles as Chrome traces: the JSON that Chrome and Perfetto open (Google, "Trace Event Format", complete
//! events). A pass is a process; its launches follow each other in the order of the recording, in device time alone.

use ridgeline_measure::profile::{Profile, stamped};
use ridgeline_measure::{Error, MeasureContext};
use serde_json::{Value, json};

/// Where the times of a trace are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The device's own clock, at the boundaries of one pass per launch.
    Timestamps,
    /// The slope of each distinct launch over its own repetitions.
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

/// Nanoseconds of each step: by timestamps where the device has them and they can be true, by slope elsewhere.
pub(crate) fn step_ns(cx: &MeasureContext, profile: &Profile) -> Result<(Source, Vec<f64>), Error> {
    if let Some(stamped) = stamped(&mut cx.device.borrow_mut(), &profile.pass)? {
        return Ok((Source::Timestamps, stamped));
    }
    let slope = |&i: &usize| 1e9 * profile.row.launches[i].seconds.value;
    Ok((Source::Slope, profile.of.iter().map(slope).collect()))
}

/// The events of one pass, as process `pid` of the trace.
pub(crate) fn events(
    title: &str,
    pid: usize,
    profile: &Profile,
    (source, ns): &(Source, Vec<f64>),
) -> Vec<Value> {
    let mut events =
        vec![json!({ "ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": { "name": title } })];
    let mut at = 0.0;
    for ((step, &i), ns) in profile.pass.launches().iter().zip(&profile.of).zip(ns) {
        let launch = &profile.row.launches[i];
        events.push(json!({
            "ph": "X", "name": launch.kernel, "cat": launch.module, "pid": pid, "tid": 0,
            "ts": at / 1e3, "dur": ns / 1e3,
            "args": {
                "variant": launch.variant, "layer": step.region.layer, "grid": step.grid,
                "bytes": launch.cost.bytes(), "flops": launch.cost.flops, "clock": source.name(),
            },
        }));
        at += ns;
    }
    events
}
