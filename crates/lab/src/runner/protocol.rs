//! What the runner and its child processes say to each other: one job in, one line per event out, all JSON.

use ridgeline_experiment::matrix::Cell;
use ridgeline_experiment::record::{Build, MachineId, Record};
use ridgeline_roofline::Machine;
use serde::{Deserialize, Serialize};

/// What a child has to do: the single line on its standard input, which stays open as long as the parent lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// As `--device`.
    pub(crate) device: Option<String>,
    /// Seed of everything random.
    pub(crate) seed: u64,
    /// The invocation its records belong to.
    pub(crate) run_id: String,
    /// The command line its records name.
    pub(crate) argv: Vec<String>,
    /// The device's ceilings, once they are measured.
    pub(crate) ceilings: Option<Machine>,
    /// The cells, in order. None asks only who is there.
    pub(crate) cells: Vec<Cell>,
}

/// Who answers: the device that was opened and the program that opened it.
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
    /// It ended, well or not.
    Done(Box<Record>),
}
