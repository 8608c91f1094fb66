//! Times memory copies, and can fail as a bad driver would.

use ridgeline_experiment::matrix::Budget;
use ridgeline_experiment::measure::{Measure, Measurement, Run, RunError};
use ridgeline_experiment::record::Check;
use ridgeline_measure::MeasureContext;
use ridgeline_roofline::check_floor;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Measures.
    Well,
    /// Is killed by a signal.
    Crash,
    /// Prints a message and exits with a status.
    Exit,
    /// Panics.
    Panic,
    /// Never ends, and writes its process id to the file in [`PID_FILE`].
    Hang,
    /// Returns an error with a cause.
    Error,
    /// Is skipped.
    Skip,
    /// Is faster than the roofline allows.
    Floor,
    /// Gives a wrong answer.
    Wrong,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    pub(crate) bytes: u64,
    pub(crate) mode: Mode,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) bytes_per_s: f64,
    pub(crate) had_ceilings: bool,
}

/// Environment variable with the file for a hanging cell's process id.
pub(crate) const PID_FILE: &str = "RIDGELINE_TEST_PID_FILE";

#[derive(Debug)]
pub(crate) struct Kind;

impl Measure for Kind {
    const NAME: &'static str = "copying";
    type Point = Point;
    type Row = Row;
}

impl Run<MeasureContext> for Kind {
    fn run(cx: &mut MeasureContext, point: &Point, budget: &Budget) -> Result<Measurement<Row>, RunError> {
        match point.mode {
            Mode::Well | Mode::Wrong => {}
            Mode::Crash => std::process::abort(),
            Mode::Exit => {
                eprintln!("the driver has had enough");
                std::process::exit(7);
            }
            Mode::Panic => panic!("an invariant of a kernel is broken"),
            Mode::Hang => {
                if let Some(path) = std::env::var_os(PID_FILE) {
                    std::fs::write(path, std::process::id().to_string()).expect("the file can be written");
                }
                loop {
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
            Mode::Error => return Err(RunError::failed(std::io::Error::other("device lost"))),
            Mode::Skip => return Err(RunError::skip("this device cannot copy")),
            Mode::Floor => check_floor(0.5, 1.0)?,
        }
        let (samples, bytes_per_s) = copy(point.bytes, budget);
        let row = Row { bytes_per_s, had_ceilings: cx.machine.is_some() };
        let ok = !matches!(point.mode, Mode::Wrong);
        let check = Check { kind: "copied".to_owned(), ok, detail: "byte 3 is 4".to_owned() };
        Ok(Measurement { check: Some(check), ..Measurement::new(row, samples) })
    }
}

/// Repeats a copy within the budget: nanoseconds of each repetition, and bytes/s of the fastest.
pub(crate) fn copy(bytes: u64, budget: &Budget) -> (Vec<u64>, f64) {
    let source = vec![3_u8; usize::try_from(bytes).expect("it fits memory")];
    let mut target = source.clone();
    let (clock, mut samples) = (Instant::now(), Vec::new());
    while budget.continues(u32::try_from(samples.len()).expect("few"), clock.elapsed().as_secs_f64()) {
        let start = Instant::now();
        // Long enough that a kill can hit the middle.
        while start.elapsed() < Duration::from_millis(4) {
            std::hint::black_box(&mut target).copy_from_slice(std::hint::black_box(&source));
        }
        samples.push(u64::try_from(start.elapsed().as_nanos()).expect("no century"));
    }
    let fastest = samples.iter().copied().min().unwrap_or(1);
    (samples, bytes as f64 * 1e9 / fastest as f64)
}
