//! Clocks: the host's stopwatch, and the conversion of device timestamps. No other module of this crate reads a clock.

use std::time::Instant;

/// A stopwatch with laps. Laps have no gaps, so they add up to the total.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start or the last lap.
    pub(crate) fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let lap = now.duration_since(self.0);
        self.0 = now;
        u64::try_from(lap.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What the host measured of a recording whose timestamps are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostTimes {
    /// From the begin of encoding until the results were in host memory, in nanoseconds.
    pub(crate) elapsed_ns: u64,
    /// Time that the host waited for the device within it, in nanoseconds.
    pub(crate) wait_ns: u64,
    /// Number of waits.
    pub(crate) waits: u32,
    /// Time of an empty submission until its read-back is in host memory, in nanoseconds.
    pub(crate) fixed_ns: u64,
    /// Bytes that were read back. Their copy is part of the wait, but of no compute pass.
    pub(crate) read_bytes: u64,
}

/// What Metal returns for a timestamp that it could not take (`MTLCounterErrorValue`).
const ERROR_TICK: u64 = u64::MAX;

/// Why timestamps are implausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The clock's period is not positive.
    NoPeriod,
    /// A timestamp is zero or [`ERROR_TICK`].
    NotWritten,
    /// An end comes before its begin, or passes are out of order.
    OutOfOrder,
    /// The clock did not advance.
    Stopped,
    /// More nanoseconds than the host measured.
    TooLong { device_ns: u64, most_ns: u64 },
    /// Fewer nanoseconds than the host waited for.
    TooShort { device_ns: u64, least_ns: u64 },
}

/// Multiple of the fixed cost of a submission from which a run is long enough for a lower bound.
const LONG: u64 = 20;
/// Most bytes whose read-back takes no longer than that of an empty submission.
const SMALL_READ: u64 = 64 << 10;

/// Nanoseconds of each compute pass, from pairs of (begin, end) ticks of `period` nanoseconds.
///
/// Device time is at most 105 % of the host's. In a long run it is also at least 95 % of the host's waits, net of
/// their fixed cost. The reason is that the host waits only while the device runs. This device time is from the first
/// begin to the last end. Both bounds hold for several recordings in flight too.
///
/// # Errors
/// The first [`Fault`]. Metal may return zeros or [`ERROR_TICK`]. The timestamps of llvmpipe (LLVM 15.0.6) and of
/// SwiftShader pass, except in runs that other programs interrupt. Another exception is a kernel's first run, in which
/// llvmpipe compiles it.
pub(crate) fn device_times(ticks: &[u64], period: f32, host: HostTimes) -> Result<Vec<u64>, Fault> {
    if !period.is_finite() || period <= 0.0 {
        return Err(Fault::NoPeriod);
    }
    let pairs = ticks.as_chunks::<2>().0;
    if pairs.is_empty() || ticks.iter().any(|tick| [0, ERROR_TICK].contains(tick)) {
        return Err(Fault::NotWritten);
    }
    let ordered = pairs.iter().all(|[begin, end]| begin <= end);
    if !ordered || pairs.windows(2).any(|two| two[0][0] > two[1][0]) {
        return Err(Fault::OutOfOrder);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "durations of one recording are far below 2^53 ticks, and not negative"
    )]
    let ns = |ticks: u64| (ticks as f64 * f64::from(period)).round() as u64;
    let times: Vec<u64> = pairs.iter().map(|[begin, end]| ns(end - begin)).collect();
    let (first, last) = (pairs[0][0], pairs.iter().map(|[_, end]| *end).max().unwrap_or(0));
    let sum = times.iter().fold(0, |sum: u64, time| sum.saturating_add(*time));
    check_total(sum, ns(last - first), host)?;
    Ok(times)
}

/// Compares the `sum` of all passes, and the `span` from the first begin to the last end, with the host's times.
fn check_total(sum: u64, span: u64, host: HostTimes) -> Result<(), Fault> {
    if sum == 0 {
        return Err(Fault::Stopped);
    }
    let (device_ns, most_ns) = (sum.max(span), host.elapsed_ns.saturating_add(host.elapsed_ns / 20));
    if device_ns > most_ns {
        return Err(Fault::TooLong { device_ns, most_ns });
    }
    let fixed_ns = host.fixed_ns * u64::from(host.waits);
    let busy_ns = host.wait_ns.saturating_sub(fixed_ns);
    let least_ns = busy_ns - busy_ns / 20;
    let comparable = host.wait_ns > LONG * fixed_ns && host.read_bytes <= SMALL_READ;
    if comparable && span < least_ns {
        return Err(Fault::TooShort { device_ns: span, least_ns });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Fault, HostTimes, Stopwatch, device_times};

    /// One wait until the end, and free submissions.
    fn waited(ns: u64) -> HostTimes {
        HostTimes { elapsed_ns: ns, wait_ns: ns, waits: 1, fixed_ns: 0, read_bytes: 4 }
    }

    #[test]
    fn ticks_become_nanoseconds() {
        assert_eq!(device_times(&[100, 110, 110, 140], 10.0, waited(400)), Ok(vec![100, 300]));
        let host = HostTimes { wait_ns: 0, ..waited(1000) };
        assert_eq!(device_times(&[1_000_000_007, 1_000_000_010], 41.6667, host), Ok(vec![125]));
    }

    #[test]
    fn timestamps_must_be_written_and_advance() {
        let fault = |ticks: &[u64], period| device_times(ticks, period, waited(100)).expect_err("a fault");
        assert_eq!(fault(&[], 1.0), Fault::NotWritten);
        assert_eq!(fault(&[0, 0, 0, 0], 1.0), Fault::NotWritten);
        assert_eq!(fault(&[5, 0], 1.0), Fault::NotWritten, "only the begin");
        assert_eq!(fault(&[5, u64::MAX, 7, u64::MAX], 1.0), Fault::NotWritten, "Metal's error value");
        assert_eq!(fault(&[20, 10], 1.0), Fault::OutOfOrder, "backwards");
        assert_eq!(fault(&[20, 30, 10, 40], 1.0), Fault::OutOfOrder, "passes");
        assert_eq!(fault(&[7, 7, 7, 7], 1.0), Fault::Stopped);
        for period in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(fault(&[100, 200], period), Fault::NoPeriod);
        }
    }

    #[test]
    fn a_sum_beyond_64_bits_is_too_long() {
        let fault = Fault::TooLong { device_ns: u64::MAX, most_ns: 105 };
        assert_eq!(device_times(&[1, u64::MAX - 1, 2, u64::MAX - 1], 1.0, waited(100)), Err(fault));
    }

    #[test]
    fn the_device_is_not_slower_than_the_host_saw() {
        assert_eq!(device_times(&[1000, 2050], 1.0, waited(1000)), Ok(vec![1050]));
        let fault = Fault::TooLong { device_ns: 1051, most_ns: 1050 };
        assert_eq!(device_times(&[1000, 2051], 1.0, waited(1000)), Err(fault), "one pass");
        assert_eq!(device_times(&[1000, 1010, 2041, 2051], 1.0, waited(1000)), Err(fault), "the span");
        let overlapping = [1000, 1700, 1001, 1352];
        assert_eq!(
            device_times(&overlapping, 1.0, HostTimes { wait_ns: 0, ..waited(1000) }),
            Err(fault),
            "the sum"
        );
    }

    #[test]
    fn the_device_is_not_faster_than_the_host_waited() {
        let host =
            HostTimes { elapsed_ns: 5000, wait_ns: 2200, waits: 2, fixed_ns: 50, read_bytes: 64 << 10 };
        let fault = Fault::TooShort { device_ns: 1994, least_ns: 1995 };
        assert_eq!(device_times(&[1000, 2994], 1.0, host), Err(fault));
        assert_eq!(device_times(&[1000, 2995], 1.0, host), Ok(vec![1995]));
        assert_eq!(device_times(&[1000, 1200, 2900, 2995], 1.0, host), Ok(vec![200, 95]), "gaps count");
        // Below twenty fixed costs the run is too short for this check.
        let short = HostTimes { fixed_ns: 55, ..host };
        assert_eq!(device_times(&[1000, 1100], 1.0, short), Ok(vec![100]));
        // A large read-back may take most of the wait.
        let large = HostTimes { read_bytes: host.read_bytes + 1, ..host };
        assert_eq!(device_times(&[1000, 1100], 1.0, large), Ok(vec![100]));
    }

    #[test]
    fn laps_add_up() {
        let mut watch = Stopwatch::start();
        let whole = watch;
        std::thread::sleep(std::time::Duration::from_millis(2));
        let first = watch.lap();
        let second = watch.lap();
        assert!(first >= 2_000_000, "{first}");
        assert!(first + second <= { whole }.lap());
    }
}
