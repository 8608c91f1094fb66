//! JSON protocol between the runner and its child processes: one job in, one line per event out.

use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::record::{Build, MachineId, Record};
use ridgeline_roofline::Machine;
use serde::{Deserialize, Serialize};

/// A child's job: the single line on its standard input, which stays open as long as the parent lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The device, as in `--device`.
    pub(crate) device: Option<String>,
    /// Seed of everything random.
    pub(crate) seed: u64,
    /// Id of the invocation, for the records.
    pub(crate) run_id: String,
    /// The command line, for the records.
    pub(crate) argv: Vec<String>,
    /// The device's ceilings, once they are measured.
    pub(crate) ceilings: Option<Machine>,
    /// Longest predicted time of one visit, seconds.
    pub(crate) longest_s: Option<f64>,
    /// The cell that is measured again every 20 seconds.
    pub(crate) anchor: Option<Cell>,
    /// Seconds until the anchor is due.
    pub(crate) anchor_due_s: f64,
    /// The cells, in order. An empty list only asks for the identity.
    pub(crate) cells: Vec<Cell>,
}

/// Identity of a child: its device and its build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The device and its computer.
    pub(crate) machine: MachineId,
    /// The program.
    pub(crate) build: Build,
}

/// One line of a child's standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The device is open.
    Identity(Box<Identity>),
    /// There is no device, and why.
    NoDevice(String),
    /// The next cell begins.
    Started,
    /// The cell ended, successfully or not.
    Done(Box<Record>),
}
