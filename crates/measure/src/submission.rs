//! How the forward passes of a test are submitted, and the clocks that time them.

use ridgeline_compute::{Granularity, RunOptions, Stamps};
use ridgeline_model::{SessionOptions, named};

named! {
    /// How forward passes are submitted to the device.
    #[derive(Default)]
    "a submission" Submission {
        /// A submission for each launch.
        Launch = "launch",
        /// A submission for each layer.
        Layer = "layer",
        /// A submission for each forward pass. One token at a time is generated.
        Pass = "pass",
        /// Several tokens are in flight. Long forward passes are several submissions on GPUs.
        #[default]
        Pipelined = "pipelined",
    }
}

impl Submission {
    /// Options for a session that submits so. With `wait`, the host waits after every submission of a forward pass.
    ///
    /// Without it, and always for [`Self::Pass`], the host waits at the end of each forward pass. Pipelined decoding
    /// waits for the oldest of several submissions.
    #[must_use]
    pub fn options(self, wait: bool, options: SessionOptions) -> SessionOptions {
        let submission = match self {
            Self::Launch => Some(Granularity::Launch),
            Self::Layer => Some(Granularity::Layer),
            Self::Pass => Some(Granularity::Pass),
            Self::Pipelined => None,
        };
        let pipelined = self == Self::Pipelined;
        let run = RunOptions { submission, wait: wait && !pipelined, ..options.run };
        SessionOptions { run, pipelined, ..options }
    }
}

named! {
    /// The clock of a measurement.
    #[derive(Default)]
    "a clock" Clock {
        /// Host time without the wait for results: what a host that never waits takes for the time.
        ///
        /// This is an artefact. It is offered to reproduce studies that measured it.
        Encode = "encode",
        /// Host time until the results are in host memory.
        #[default]
        Complete = "complete",
        /// Device timestamps around each submission, summed.
        Device = "device",
    }
}

impl Clock {
    /// Options for a session that this clock times. Only the device's clock needs timestamps, which cost a little time.
    #[must_use]
    pub fn options(self, options: SessionOptions) -> SessionOptions {
        let stamps = if self == Self::Device { Stamps::Submission } else { options.run.stamps };
        SessionOptions { run: RunOptions { stamps, ..options.run }, ..options }
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Submission};
    use ridgeline_compute::{Granularity, Stamps};
    use ridgeline_model::SessionOptions;

    #[test]
    fn submissions_become_session_options() {
        let before = SessionOptions { batch: 3, ..SessionOptions::default() };
        assert_eq!(Submission::default().options(true, before), before, "pipelined decoding never waits");
        for (submission, granularity) in [
            (Submission::Launch, Granularity::Launch),
            (Submission::Layer, Granularity::Layer),
            (Submission::Pass, Granularity::Pass),
        ] {
            for wait in [false, true] {
                let options = submission.options(wait, before);
                assert_eq!((options.run.submission, options.run.wait), (Some(granularity), wait));
                assert!(!options.pipelined && options.batch == 3);
                assert_eq!(submission.to_string().parse(), Ok(submission));
            }
        }
    }

    #[test]
    fn only_the_device_clock_takes_timestamps() {
        let stamps = |clock: Clock| clock.options(SessionOptions::default()).run.stamps;
        assert_eq!(
            Clock::ALL.iter().map(|&it| stamps(it)).collect::<Vec<_>>(),
            [Stamps::Off, Stamps::Off, Stamps::Submission]
        );
        let error = "gpu".parse::<Clock>().expect_err("no clock").to_string();
        assert_eq!(error, "\"gpu\" is not a clock; known are encode, complete, device");
    }
}
