//! Flags and exit codes that all commands share.

/// A cell or the whole command failed.
pub const FAILED: u8 = 1;
/// Invalid command line: the exit code that clap uses.
pub const USAGE: u8 = 2;
/// No device to run on.
pub const NO_DEVICE: u8 = 3;
/// A comparison found a regression.
pub const REGRESSION: u8 = 4;

/// Flags that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Device to run on: a part of the adapter's name, driver or backend, or `cpu` for the slow CPU reference kernels
    /// [default: the best adapter]
    #[arg(long, global = true, value_name = "NAME")]
    pub device: Option<String>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print more log messages on stderr; -vv prints all
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Do not install a software adapter where no adapter is found
    #[arg(long, global = true)]
    pub no_install: bool,
}

/// A command line that parses but is invalid. The process exits with [`USAGE`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
